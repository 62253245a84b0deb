"""Cached padding against the layers themselves, and the arithmetic of a state."""

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vctool.nn.cached_padding import (
    Cached,
    Chain,
    Conv,
    ConvTranspose,
    Delay,
    Pointwise,
    Sum,
)
from vctool.nn.streaming import from_digits, to_digits


def run(layer: Cached, x: Tensor, granule: int, counts: tuple[int, ...]) -> Tensor:
    """Stream (1, C, T) and as much silence as the layer is late, in chunks of these granules."""
    late = -(-layer.delay * layer.ratio[1] // layer.ratio[0])
    total = -(-(x.shape[-1] + late) // granule) * granule
    padded = functional.pad(x, (0, total - x.shape[-1]))
    memory, parts, at = layer.memory("m"), [], 0
    for count in itertools.cycle(counts):
        if at >= total:
            return torch.cat(parts, dim=-1)[..., layer.delay :]
        chunk = padded[..., at : at + count * granule]
        y, memory = layer.run(chunk, memory, "m", torch.tensor([at]))
        parts.append(y)
        at += count * granule
    raise AssertionError


CONVS = [
    (kernel, step, dilation, padding)
    for kernel, step, dilation in [(1, 1, 1), (5, 1, 1), (7, 1, 3), (4, 2, 1), (3, 2, 2), (8, 4, 1)]
    for padding in (0, 1, (kernel - 1) * dilation // 2, (kernel - 1) * dilation)
]


@pytest.mark.parametrize("late", [0, 3])
@pytest.mark.parametrize(("kernel", "step", "dilation", "padding"), CONVS)
def test_a_convolution_streams_from_its_first_frame_on(
    kernel: int, step: int, dilation: int, padding: int, late: int
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv1d(2, 3, kernel, step, padding, dilation)
    before = Delay(2, late)
    layer = Chain([before, Conv(conv, before.delay)])
    x = torch.randn(1, 2, 96)
    expected = conv(x)
    for counts in ((1,), (2, 5, 1)):
        made = run(layer, x, 2 * step, counts)
        # What looks past the end sees silence in both, but the offline form knows the end.
        count = min(expected.shape[-1], made.shape[-1])
        assert count >= 96 // step - (kernel - 1) * dilation
        torch.testing.assert_close(made[..., :count], expected[..., :count], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("kernel", "step", "dilation"), [(5, 1, 2), (4, 2, 1), (3, 2, 2)])
def test_a_convolution_in_float64_is_the_same(kernel: int, step: int, dilation: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv1d(2, 3, kernel, step, kernel // 2, dilation).double()
    x = torch.randn(1, 2, 96)
    made = run(Conv(conv), x, 2 * step, (2, 1))
    expected = conv(x.double())
    count = min(expected.shape[-1], made.shape[-1])
    assert count >= 96 // step - (kernel - 1) * dilation and made.dtype == torch.float64
    torch.testing.assert_close(made[..., :count], expected[..., :count], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "step", "padding"), [(2, 2, 0), (4, 2, 1), (7, 3, 2), (16, 8, 4)]
)
def test_a_transposed_convolution_streams(kernel: int, step: int, padding: int) -> None:
    torch.manual_seed(0)
    conv = nn.ConvTranspose1d(3, 2, kernel, step, padding)
    x = torch.randn(1, 3, 40)
    expected = conv(x)
    for counts in ((1,), (3, 1)):
        made = run(ConvTranspose(conv), x, 1, counts)
        count = min(made.shape[-1], expected.shape[-1])
        assert count > 39 * step - kernel
        torch.testing.assert_close(made[..., :count], expected[..., :count], rtol=0, atol=1e-6)


class Net(nn.Module):
    """What the layers are made for: residual branches that look ahead by unequal amounts."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.inlet = nn.Conv1d(1, 4, 8, stride=4, padding=3)
        self.short = nn.Conv1d(4, 4, 3, padding=1)
        self.long = nn.ModuleList(nn.Conv1d(4, 4, 5, padding=2 * d, dilation=d) for d in (1, 3))
        self.outlet = nn.ConvTranspose1d(4, 1, 8, stride=4, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.leaky_relu(self.inlet(x), 0.1)
        x = x + self.short(x) + self.long[1](torch.tanh(self.long[0](x)))
        return self.outlet(x)

    def stream(self) -> Cached:
        inlet = Conv(self.inlet)
        leaky = Pointwise(nn.LeakyReLU(0.1), inlet.delay)
        first = Conv(self.long[0], inlet.delay)  # type: ignore[arg-type]
        tanh = Pointwise(nn.Tanh(), first.delay)
        second = Conv(self.long[1], first.delay)  # type: ignore[arg-type]
        branches = [
            Chain([], inlet.delay),
            Conv(self.short, inlet.delay),
            Chain([first, tanh, second]),
        ]
        body = Sum(branches, channels=4)
        return Chain([inlet, leaky, body, ConvTranspose(self.outlet, body.delay)])


@pytest.mark.parametrize("counts", [(1,), (2,), (8,), (3, 1, 5)], ids=str)
def test_a_network_that_looks_ahead_streams_as_it_is_trained(counts: tuple[int, ...]) -> None:
    """From the first sample on: layers see the zeros of their padding, not each other's biases."""
    net = Net()
    layer = net.stream()
    x = torch.randn(1, 1, 400)
    with torch.no_grad():
        expected, made = net(x), run(layer, x, 4, counts)
    end = 400 - 4 * (2 + 6 + 2)  # beyond this the offline form sees the end
    assert layer.delay > 30
    torch.testing.assert_close(made[..., :end], expected[..., :end], rtol=0, atol=1e-6)


def test_a_causal_convolution_is_not_late() -> None:
    conv = nn.Conv1d(1, 1, 5, dilation=2)
    layer = Conv(conv, left=8)
    x = torch.randn(1, 1, 50)
    assert layer.delay == 0
    expected = conv(functional.pad(x, (8, 0)))
    torch.testing.assert_close(run(layer, x, 1, (7,)), expected, rtol=0, atol=1e-6)


def test_a_state_counts_for_months() -> None:
    numbers = torch.tensor([0, 1, 2**20 - 1, 2**20, 44100 * 3600, 2**40 - 1])
    digits = to_digits(numbers)
    assert digits.dtype == torch.float32 and torch.equal(from_digits(digits), numbers)

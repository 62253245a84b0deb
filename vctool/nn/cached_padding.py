"""Layers that were trained on whole utterances, as they run in real time: by cached padding.

Each convolution keeps the end of its last input, where the offline form has zeros only before the
utterance. A convolution that looks ahead is late by as much as it looks ahead; parallel branches
are delayed to the latest of them (`Sum`). After the delay the output is that of the offline form,
from the first sample on:

    offline   0 0 x0 x1 x2 x3 ...      kernel 5, padding 2: y0 sees 0 0 x0 x1 x2
    streamed      x0 x1 x2             y0 is ready with x2: delay 2

The idea of cached padding is that of Caillon and Esling, "Streamable Neural Audio Synthesis With
Non-Causal Convolutions" (2022). Beyond it, what a layer would give for times before the utterance
is set to zero, because that is what the next layer's padding is in training.

Layers in float64 (`module.double()`) see and remember float32 all the same, and so give the same
samples however a sound is cut: a deep network makes much of the rounding that differs otherwise.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

Caches = list[Tensor]
"""What a cached layer remembers, each (1, C, N)."""


class Cached(nn.Module):
    """A layer that streams: `layer(x, caches, start)` returns its output and the next caches.

    `x` is (1, C, T) and `start` (1,) int64 the number of frames of it that came before.
    """

    delay: int
    """Frames by which the output is behind that of the offline form, from the network's input."""
    ratio: tuple[int, int] = (1, 1)
    """Frames out for frames in."""
    shapes: tuple[tuple[int, int, int], ...] = ()
    """Shapes of its caches, which are zero at first."""

    def forward(self, x: Tensor, caches: Caches, start: Tensor) -> tuple[Tensor, Caches]:
        """Process a chunk; see the class."""
        raise NotImplementedError

    def memory(self, prefix: str) -> dict[str, Tensor]:
        """Name its caches for `Stream`: `prefix0`, `prefix1`, ..., all zero."""
        return {f"{prefix}{index}": torch.zeros(shape) for index, shape in enumerate(self.shapes)}

    def run(
        self, x: Tensor, memory: Mapping[str, Tensor], prefix: str, start: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Call it with caches that `memory` named."""
        caches = [memory[f"{prefix}{index}"] for index in range(len(self.shapes))]
        y, after = self(x, caches, start)
        return y, {f"{prefix}{index}": cache for index, cache in enumerate(after)}


def from_zero(x: Tensor, start: Tensor, delay: int) -> Tensor:
    """Silence the frames of `x`, (1, C, T) with `start` frames before it, before frame `delay`."""
    if delay == 0:
        return x
    place = start + torch.arange(x.shape[-1], device=x.device)
    return torch.where(place >= delay, x, torch.zeros_like(x))


class Pointwise(Cached):
    """A layer that looks at one frame at a time: an activation, a normalisation over channels."""

    def __init__(self, layer: nn.Module, delay: int = 0) -> None:
        super().__init__()
        self.layer = layer
        self.delay = delay

    def forward(self, x: Tensor, caches: Caches, start: Tensor) -> tuple[Tensor, Caches]:
        """Process a chunk; see `Cached`."""
        return from_zero(self.layer(x), start, self.delay), []


class Delay(Cached):
    """Holds (1, C, T) back by some frames."""

    def __init__(self, channels: int, frames: int, delay: int = 0) -> None:
        super().__init__()
        self.frames = frames
        self.delay = delay + frames
        self.shapes = ((1, channels, frames),) if frames else ()

    def forward(self, x: Tensor, caches: Caches, start: Tensor) -> tuple[Tensor, Caches]:
        """Process a chunk; see `Cached`."""
        x = x.float()
        if not self.frames:
            return x, []
        joined = torch.cat([caches[0], x], dim=-1)
        # counted from the end: a tracer may take the length of a chunk for a constant
        return joined[..., : -self.frames], [joined[..., -self.frames :]]


class Conv(Cached):
    """`nn.Conv1d` with cached padding, sharing its weights.

    Args:
        conv: the layer; its own zero padding is cached.
        delay: of its input behind the offline form's [input frames].
        left: zeros that the offline form puts before the utterance, where it pads outside of the
            layer (`functional.pad(x, (left, 0))` makes it causal); the layer's own where None.
    """

    def __init__(self, conv: nn.Conv1d, delay: int = 0, left: int | None = None) -> None:
        super().__init__()
        assert conv.padding_mode == "zeros" and not isinstance(conv.padding, str), conv
        self.conv = conv
        (kernel,), (step,), (dilation,) = conv.kernel_size, conv.stride, conv.dilation
        padding = int(conv.padding[0]) if left is None else left
        # y[n] = sum_j w[j] x[n * step - padding + j * dilation]; `kept` frames make n whole.
        kept = max((kernel - 1) * dilation - (step - 1), padding - delay, 0)
        kept += (padding - delay - kept) % step
        self.delay = (kept + delay - padding) // step
        self.ratio = (1, step)
        self.shapes = ((1, conv.in_channels, kept),) if kept else ()
        self.kept, self.span = kept, (kernel - 1) * dilation + 1

    def forward(self, x: Tensor, caches: Caches, start: Tensor) -> tuple[Tensor, Caches]:
        """Process a chunk, whose length is a multiple of the stride; see `Cached`."""
        step, conv, x = self.ratio[1], self.conv, x.float()
        joined = torch.cat([caches[0], x], dim=-1) if self.kept else x
        # What lies past the last whole output frame belongs to the next chunk.
        used = joined[..., : -(self.kept + step - self.span) or None]
        if conv.weight.dtype == torch.float64:
            y = self._summed(used.double())
        else:
            y = functional.conv1d(
                used, conv.weight, conv.bias, conv.stride, 0, conv.dilation, conv.groups
            )
        after = [joined[..., -self.kept :]] if self.kept else []
        return from_zero(y, start // step, self.delay), after

    def _summed(self, used: Tensor) -> Tensor:
        """Return the convolution as a sum of products, which ONNX Runtime has in float64."""
        conv, dilation = self.conv, self.conv.dilation[0]
        assert conv.groups == 1, conv
        step = self.ratio[1]
        y = conv.weight[..., 0] @ used[..., : used.shape[-1] - self.span + 1 : step]
        for tap in range(1, conv.kernel_size[0]):
            late = self.span - 1 - tap * dilation
            y = y + conv.weight[..., tap] @ used[..., tap * dilation : -late or None : step]
        return y if conv.bias is None else y + conv.bias[:, None]


class ConvTranspose(Cached):
    """`nn.ConvTranspose1d` as a convolution over its input for each place within a stride.

    y[n * step + r] = sum_p w[p * step + r] x[n - p]

    Args:
        conv: the layer, with a kernel at least as long as its stride; its padding, which it crops
            from the beginning, becomes delay.
        delay: of its input behind the offline form's [input frames].
    """

    def __init__(self, conv: nn.ConvTranspose1d, delay: int = 0) -> None:
        super().__init__()
        (kernel,), (step,) = conv.kernel_size, conv.stride
        assert kernel >= step and conv.dilation == (1,) and conv.groups == 1, conv
        self.conv = conv
        self.delay = delay * step + int(conv.padding[0])
        self.ratio = (step, 1)
        self.spans = -(-kernel // step)
        self.shapes = ((1, conv.in_channels, self.spans - 1),) if self.spans > 1 else ()

    def forward(self, x: Tensor, caches: Caches, start: Tensor) -> tuple[Tensor, Caches]:
        """Process a chunk; see `Cached`."""
        conv, step, more = self.conv, self.ratio[0], self.spans - 1
        x = x.float()
        joined = torch.cat([caches[0], x], dim=-1) if more else x
        after = [joined[..., -more:]] if more else []
        weight = functional.pad(conv.weight, (0, self.spans * step - conv.kernel_size[0]))
        joined, made = joined.to(weight.dtype), None
        for span in range(self.spans):
            part = joined[..., more - span : -span or None]
            turn = weight[..., span * step : (span + 1) * step].permute(1, 2, 0).flatten(0, 1)
            product = turn @ part
            made = product if made is None else made + product
        assert made is not None
        # (1, out * step, T) to (1, out, T * step)
        y = made.reshape(1, conv.out_channels, step, -1).transpose(2, 3)
        y = y.reshape(1, conv.out_channels, -1)
        if conv.bias is not None:
            y = y + conv.bias[:, None]
        return from_zero(y, start * step, self.delay), after


class Chain(Cached):
    """Layers one after another, each made for the delay of the one before (`chain`)."""

    def __init__(self, layers: Sequence[Cached], delay: int = 0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.delay = layers[-1].delay if layers else delay
        self.shapes = tuple(shape for layer in layers for shape in layer.shapes)
        up = down = 1
        for layer in layers:
            up, down = up * layer.ratio[0], down * layer.ratio[1]
        common = math.gcd(up, down)
        self.ratio = (up // common, down // common)

    def forward(self, x: Tensor, caches: Caches, start: Tensor) -> tuple[Tensor, Caches]:
        """Process a chunk; see `Cached`."""
        rest, after = list(caches), []
        for layer in self.layers:
            assert isinstance(layer, Cached)
            own, rest = rest[: len(layer.shapes)], rest[len(layer.shapes) :]
            x, kept = layer(x, own, start)
            after += kept
            start = start * layer.ratio[0] // layer.ratio[1]
        return x, after


class Sum(Cached):
    """Parallel branches of equal shapes, delayed to the latest of them and added.

    Args:
        branches: all made for the same delay of their input.
        channels: of their outputs.
    """

    def __init__(self, branches: Sequence[Cached], channels: int) -> None:
        super().__init__()
        assert len({branch.ratio for branch in branches}) == 1, [one.ratio for one in branches]
        self.delay = max(branch.delay for branch in branches)
        late = [Delay(channels, self.delay - one.delay, one.delay) for one in branches]
        both = zip(branches, late, strict=True)
        chains = [Chain([one, wait]) for one, wait in both]
        self.branches = nn.ModuleList(chains)
        self.ratio = branches[0].ratio
        self.shapes = tuple(shape for one in chains for shape in one.shapes)

    def forward(self, x: Tensor, caches: Caches, start: Tensor) -> tuple[Tensor, Caches]:
        """Process a chunk; see `Cached`."""
        rest, after, total = list(caches), [], None
        for branch in self.branches:
            assert isinstance(branch, Cached)
            own, rest = rest[: len(branch.shapes)], rest[len(branch.shapes) :]
            y, kept = branch(x, own, start)
            after += kept
            total = y if total is None else total + y
        assert total is not None
        return total, after

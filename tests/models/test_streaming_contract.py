"""What everything that streams must prove; a family whose `streamable` is a stream is found."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.models.conftest import CASES, TOYS, case_of
from vctool.export.parity import measured_latency
from vctool.export.stream import TorchRun
from vctool.features import framing
from vctool.models.base import Condition, System
from vctool.nn.streaming import LIMIT, NotRealTime, Stream, chunk_samples, whole

Case = Any

STREAMS = [name for name in CASES if isinstance(case_of(name).system().streamable(), Stream)]


class Operations(TorchDispatchMode):
    """Notes the names of the operations that run within it."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.name().partition(".")[0].removeprefix("aten::"))
        return func(*args, **(kwargs or {}))


@pytest.fixture(params=STREAMS)
def system(request: pytest.FixtureRequest) -> Any:
    """Every system that streams."""
    return case_of(request.param).system().eval()


@pytest.fixture
def stream(system: Any) -> Stream:
    return system.streamable()


def sound(stream: Stream, seconds: float = 0.6, seed: int = 0) -> Tensor:
    """Return a buzz with noise, not a whole number of granules long."""
    samples = chunk_samples(stream.granule, round(seconds * stream.rate)) - stream.granule // 3
    time = torch.arange(samples, dtype=torch.float64) / stream.rate
    turns = 110 * 2**seed * (time + 0.01 * torch.sin(30 * time))
    buzz = sum(torch.cos(2 * np.pi * k * turns) / k for k in range(1, 12))
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
    swell = 0.6 + 0.4 * torch.sin(9 * time)
    return (swell * (0.1 * buzz + 0.02 * noise)).float()


def streamed(stream: Stream, wave: Tensor, granules: Any, controls: Any = None) -> Tensor:
    """Run in chunks of the given numbers of granules, over and over, until the wave is through."""
    total = chunk_samples(stream.granule, len(wave) + stream.latency)
    padded = torch.nn.functional.pad(wave, (0, total - len(wave))).view(1, 1, -1)
    state, parts, at = stream.initial_state(), [], 0
    with torch.no_grad():
        while at < total:
            for count in granules:
                chunk = padded[..., at : at + count * stream.granule]
                if chunk.shape[-1]:
                    made, state = stream(chunk, *stream.values(controls), state)
                    parts.append(made)
                at += count * stream.granule
    return torch.cat(parts, dim=-1)[0, 0, stream.latency : stream.latency + len(wave)]


def test_something_streams() -> None:
    assert "shade" in STREAMS


def test_a_system_that_does_not_stream_says_why(case: Case) -> None:
    found = case.system().streamable()
    if isinstance(found, NotRealTime):
        assert 10 < len(found.reason) < 200 and "\n" not in found.reason
        assert (TOYS / case.name).exists() or found.reason != System.not_real_time, (
            "which part, and why"
        )


@pytest.mark.parametrize("granules", [(1,), (2,), (3,), (8,), (32,), (1, 5, 2, 7)], ids=str)
def test_streamed_equals_offline(stream: Stream, granules: tuple[int, ...]) -> None:
    wave = sound(stream)
    offline = whole(stream, wave)
    assert offline.shape == wave.shape and offline.dtype == torch.float32
    peak = float(offline.abs().max())
    assert peak > 1e-3
    made = streamed(stream, wave, granules)
    assert float((made - offline).abs().max()) <= 1e-6 * max(peak, 1.0)


def test_the_same_input_gives_the_same_bytes(stream: Stream) -> None:
    wave = sound(stream, 0.5)
    torch.manual_seed(1)
    one = streamed(stream, wave, (2,))
    torch.manual_seed(2)
    assert torch.equal(one, streamed(stream, wave, (2,)))


def test_a_stream_is_pure(stream: Stream) -> None:
    """Nothing that it holds changes, and nothing is drawn: all that it remembers is the state."""
    held = {**stream.state_dict(), **{f"control {n}": v for n, v in stream.controls.items()}}
    before = {name: value.clone() for name, value in held.items()}
    state = stream.initial_state()
    first = state.clone()
    drawn = torch.random.get_rng_state()
    wave = sound(stream, 0.2)[: stream.granule * 2].view(1, 1, -1)
    with torch.no_grad(), Operations() as operations:
        made, after = stream(wave, *stream.values(), state)
    assert torch.equal(drawn, torch.random.get_rng_state())
    assert not {name for name in operations.names if "rand" in name or "normal_" in name}
    assert torch.equal(state, first) and not torch.equal(after, state)
    assert after.shape == state.shape == (1, stream.state_size)
    assert made.shape == wave.shape
    for name, value in held.items():
        assert torch.equal(value, before[name]), name


def test_the_latency_is_what_an_impulse_measures(stream: Stream) -> None:
    wave = sound(stream, 0.3)
    if stream.grain > 1:
        start = partial(TorchRun, stream, {})
        silence = np.zeros(len(wave), np.float32)  # a network may be late by more than half of it
        late = measured_latency(start, silence, stream.granule, stream.grain)
        assert late == stream.latency
        return
    places = [len(wave) // 3, len(wave) // 3 + 1, len(wave) // 2 + stream.granule // 3]
    padded = torch.nn.functional.pad(wave, (0, chunk_samples(stream.granule) + stream.latency))
    plain = streamed(stream, padded, (1,))
    for place in places:
        clicked = padded.clone()
        clicked[place] += 0.5
        response = (streamed(stream, clicked, (1,)) - plain).abs()
        assert int(response.argmax()) == place  # the declared latency is taken off by `streamed`


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30], ids=str)
def test_bad_samples_do_not_poison(stream: Stream, bad: float) -> None:
    wave = sound(stream, 0.3)
    holes, at = wave.clone(), len(wave) // 4
    holes[at : at + 3] = bad
    silenced = holes.clone()
    silenced[at : at + 3] = 0.0
    made = streamed(stream, holes, (1,))
    assert torch.isfinite(made).all() and LIMIT < 1e30
    assert torch.equal(made, streamed(stream, silenced, (1,)))


def test_a_state_can_be_taken_up_elsewhere(stream: Stream, system: Any) -> None:
    wave = sound(stream, 0.3)
    chunk = chunk_samples(stream.granule)
    wave = torch.nn.functional.pad(wave, (0, 2 * chunk)).view(1, 1, -1)[..., : 2 * chunk]
    with torch.no_grad():
        one, state = stream(wave[..., :chunk], *stream.values(), stream.initial_state())
        rest, _ = stream(wave[..., chunk:], *stream.values(), state)
        stored = torch.from_numpy(np.frombuffer(state.numpy().tobytes(), np.float32)[None].copy())
        again, _ = system.streamable()(wave[..., chunk:], *stream.values(), stored)
    assert torch.equal(rest, again) and not torch.equal(one, rest)


def test_controls_say_who_is_heard(system: Any, stream: Stream) -> None:
    wave = sound(stream, 0.3)
    heard = {}
    for role in system.context.roles:
        told = system.controls(Condition(options=system.Options()), role)
        assert told.keys() == stream.controls.keys()
        for name, value in told.items():
            assert value.shape == tuple(stream.controls[name].shape) and value.dtype == np.float32
        tensors = {name: torch.from_numpy(value) for name, value in told.items()}
        heard[role] = whole(stream, wave, tensors)
    if stream.controls:
        one, other = list(heard.values())[:2]
        assert float((one - other).abs().max()) > 1e-4


def test_conversion_is_the_stream_without_its_latency(system: Any, stream: Stream) -> None:
    """What `vctool convert` writes is what is heard live."""
    config = system.context.features
    assert (system.reads(system.config), system.writes(system.config)) == (("wave",), ("wave",))
    wave = sound(stream, 0.5).numpy()
    condition = Condition(options=system.Options())
    to = system.context.roles[0]
    made = system.convert({"wave": framing.frame(wave, config)}, condition, to)
    told = system.controls(condition, to)
    tensors = {name: torch.from_numpy(value) for name, value in told.items()}
    alone = whole(stream, torch.from_numpy(wave), tensors).numpy()
    found = framing.unframe(made["wave"], len(wave))
    kept = (len(wave) // config.hop_length) * config.hop_length - stream.latency - config.n_fft
    np.testing.assert_allclose(found[:kept], alone[:kept], rtol=0, atol=1e-6)

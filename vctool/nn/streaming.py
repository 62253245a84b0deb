"""Networks that run in real time: a pure step with its state in and out.

A `Stream` is what `System.streamable()` returns. Everything that it remembers is in one tensor
(1, S), so that it can be exported, run by a host that knows nothing of it, stopped and continued.
`cached_padding` has the layers of those that were trained on whole utterances.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

LIMIT = 1e4
"""Inputs beyond it, infinity and NaN are taken as 0, so that what is remembered stays finite."""

CHUNK_SAMPLES = 4096
"""Offline, at least so many samples are computed at once."""

DIGIT = 2**20
"""Whole numbers are kept in a state as two digits of this base, which float32 holds exactly."""

POSITION = "position"
"""Name of the state that counts samples."""


class NotRealTime(NamedTuple):
    """Why a system or a vocoder does not run in real time."""

    reason: str
    """One line, such as `its encoder sees a whole utterance`."""


def to_digits(number: Tensor) -> Tensor:
    """Write whole numbers in 0..2^40-1, int64 of any shape, as two float32 digits: (..., 2)."""
    return torch.stack([number // DIGIT, number % DIGIT], dim=-1).float()


def from_digits(digits: Tensor) -> Tensor:
    """Return the int64 numbers of `to_digits`."""
    whole = digits.to(torch.int64)
    return whole[..., 0] * DIGIT + whole[..., 1]


class Stream(nn.Module):
    """A network that turns sound into sound chunk by chunk, and remembers nothing itself.

    `forward(wave, *controls, state)` takes a wave (1, 1, g * k) of any k >= 1, the controls in the
    order of `controls`, and a state (1, S); it returns a wave of the same length and the next
    state. There are no random operations, no buffers that change, and no statistics over what is
    longer than a chunk: how a sound is cut into chunks changes nothing but rounding.

    A subclass implements `step`, and passes what it remembers as `memory`.

    Args:
        rate: sampling rate of input and output [Hz].
        granule: the length of a chunk is a multiple of this [samples].
        latency: exact delay of the output behind the input [samples].
        memory: the state before the first chunk, by name: float32 tensors (1, ...) of fixed shapes,
            all zero.
        controls: default values of the control inputs by name, each (1, C) float32; what a target
            sets them to, `System.controls` says.
    """

    grain = 1
    """How finely time is kept [samples]: an impulse comes out as one where this is 1. Sound that is
    made anew from frames has no impulses, and keeps the hop that they were in."""

    def __init__(
        self,
        rate: int,
        granule: int,
        latency: int,
        memory: Mapping[str, Tensor] | None = None,
        controls: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        assert rate > 0 and granule > 0 and latency >= 0, (rate, granule, latency)
        assert POSITION not in (memory or {}), "the base class counts samples itself"
        self.rate = rate
        self.granule = granule
        self.latency = latency
        self.controls = {name: value.detach().float() for name, value in (controls or {}).items()}
        start = {POSITION: torch.zeros(1, 2)}
        self.memory = {**start, **{name: one.detach() for name, one in (memory or {}).items()}}
        ends = [0]
        for name, value in self.memory.items():
            assert value.shape[0] == 1 and value.dtype == torch.float32, (name, value.shape)
            assert not value.any(), (
                f"{name}: does not begin at zero, which is what hosts begin with"
            )
            ends.append(ends[-1] + value.numel())
        self._places = {
            name: (first, last, value.shape)
            for (name, value), (first, last) in zip(
                self.memory.items(), pairwise(ends), strict=True
            )
        }

    @property
    def state_size(self) -> int:
        """Return S, the number of values in a state."""
        return sum(last - first for first, last, _ in self._places.values())

    def initial_state(self) -> Tensor:
        """Return the state before the first chunk, (1, S) float32."""
        return self._pack(self.memory)

    def forward(self, wave: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Process a chunk; see the class."""
        *values, packed = inputs
        # NaN compares as false. Done here, and so in every exported graph, since no host can be
        # trusted to do it and one NaN in a recurrent state stays there.
        clean = torch.where(wave.abs() <= LIMIT, wave, torch.zeros_like(wave))
        memory = {
            name: packed[:, first:last].reshape(shape)
            for name, (first, last, shape) in self._places.items()
        }
        start = from_digits(memory.pop(POSITION))
        controls = dict(zip(self.controls, values, strict=True))
        made, after = self.step(clean, controls, memory, start)
        return made, self._pack({**after, POSITION: to_digits(start + wave.shape[-1])})

    def step(
        self,
        wave: Tensor,
        controls: Mapping[str, Tensor],
        memory: Mapping[str, Tensor],
        start: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Process a chunk.

        Args:
            wave: (1, 1, g * k), finite.
            controls: by name, each (1, C).
            memory: what was remembered, by name.
            start: samples before this chunk, (1,) int64.

        Returns:
            The output, (1, 1, g * k), and what to remember, of the same names and shapes.
        """
        raise NotImplementedError

    def _pack(self, memory: Mapping[str, Tensor]) -> Tensor:
        assert memory.keys() == self._places.keys(), (list(memory), list(self._places))
        # In the order of the places, and not in that in which a step happens to return them.
        return torch.cat([memory[name].reshape(1, -1) for name in self._places], dim=1)

    def values(self, controls: Mapping[str, Tensor] | None = None) -> list[Tensor]:
        """Return the control inputs in order, with defaults for those that are not given."""
        given = dict(controls or {})
        unknown = given.keys() - self.controls.keys()
        assert not unknown, f"no controls {sorted(unknown)}; there are {list(self.controls)}"
        return [given.get(name, default) for name, default in self.controls.items()]


def chunk_samples(granule: int, samples: int = CHUNK_SAMPLES) -> int:
    """Return the smallest multiple of a granule that is not below a number of samples.

    >>> chunk_samples(512), chunk_samples(441), chunk_samples(512, 1)
    (4096, 4410, 512)
    """
    return -(-samples // granule) * granule


def whole(stream: Stream, wave: Tensor, controls: Mapping[str, Tensor] | None = None) -> Tensor:
    """Run a stream over a whole sound, and take its latency off.

    Args:
        stream: the network.
        wave: (T,) float32 at its rate, on its device.
        controls: values of its control inputs, each (1, C); its defaults where not given.

    Returns:
        (T,) float32, aligned with the input.
    """
    samples, chunk = len(wave), chunk_samples(stream.granule)
    values = [value.to(wave.device) for value in stream.values(controls)]
    state = stream.initial_state().to(wave.device)
    total = chunk_samples(chunk, max(samples + stream.latency, 1))
    padded = functional.pad(wave, (0, total - samples)).view(1, 1, -1)
    parts = []
    with torch.no_grad():
        for first in range(0, total, chunk):
            made, state = stream(padded[..., first : first + chunk], *values, state)
            parts.append(made)
    return torch.cat(parts, dim=-1)[0, 0, stream.latency : stream.latency + samples]

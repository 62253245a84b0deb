"""A stream as a function of what arrives: any number of samples in, as many out in all.

How the samples arrive changes nothing, not even rounding: they are gathered, and the network always
runs on the same number of them. So a file that is converted at once, a pipe that brings a few
samples at a time, and every block size of a host give the same bytes.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np
import torch

from vctool.audio.tracks import Track, pieces
from vctool.nn.streaming import CHUNK_SAMPLES, Stream, chunk_samples


class Run(Protocol):
    """A stream that is running, by torch or by ONNX Runtime: it holds its own state."""

    rate: int
    """Sampling rate [Hz]."""
    granule: int
    """What it takes at once is a multiple of this [samples]."""
    latency: int
    """Delay of its output behind its input [samples]."""

    def step(self, wave: np.ndarray) -> np.ndarray:
        """Process the next (granule * k,) float32; as many come out."""


class TorchRun:
    """A stream that torch runs.

    Args:
        stream: the network; what it holds must be on `device`.
        controls: values of its control inputs, each (1, C); its defaults where not given.
        device: where it runs.
    """

    def __init__(
        self,
        stream: Stream,
        controls: Mapping[str, np.ndarray] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.rate, self.granule, self.latency = stream.rate, stream.granule, stream.latency
        self._stream = stream
        given = {name: torch.tensor(value) for name, value in (controls or {}).items()}
        self._values = [value.to(device) for value in stream.values(given)]
        self._state = stream.initial_state().to(device)
        self._device = device

    def step(self, wave: np.ndarray) -> np.ndarray:
        """Process the next (granule * k,) float32; see `Run`."""
        chunk = torch.tensor(wave, dtype=torch.float32, device=self._device).view(1, 1, -1)
        with torch.no_grad():
            made, self._state = self._stream(chunk, *self._values, self._state)
        return made[0, 0].cpu().numpy()


class Streamed:
    """Gathers what arrives into chunks of one size, and takes the latency off.

    Args:
        run: the stream.
        samples: at least so many are computed at once.
    """

    def __init__(self, run: Run, samples: int = CHUNK_SAMPLES) -> None:
        self.rate = run.rate
        self._run = run
        self._chunk = chunk_samples(run.granule, samples)
        self._waiting = np.zeros(0, np.float32)
        self._early = run.latency
        self._taken = self._given = 0

    def process(self, wave: np.ndarray) -> np.ndarray:
        """Take (T,) float32, T >= 0, and return what is ready, any number of samples."""
        self._taken += len(wave)
        self._waiting = np.concatenate([self._waiting, np.asarray(wave, np.float32)])
        whole = len(self._waiting) // self._chunk * self._chunk
        ready, self._waiting = self._waiting[:whole], self._waiting[whole:]
        made = [self._run.step(one) for one in ready.reshape(-1, self._chunk)]
        joined = np.concatenate(made) if made else np.zeros(0, np.float32)
        kept = joined[self._early :]
        self._early -= len(joined) - len(kept)
        self._given += len(kept)
        return kept

    def flush(self) -> np.ndarray:
        """End the sound, and return the rest: after it, as many came out as went in."""
        rest = self._taken - self._given
        parts = [np.zeros(0, np.float32)]
        while sum(map(len, parts)) < rest:
            parts.append(self.process(np.zeros(self._chunk, np.float32)))
        return np.concatenate(parts)[:rest]

    def through(self, waves: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Process a whole sound that comes in pieces of any size."""
        for wave in waves:
            made = self.process(wave)
            if len(made):
                yield made
        yield self.flush()

    def track(self, track: Track, samples: int) -> Iterator[np.ndarray]:
        """Process a track, read in pieces of so many samples."""
        yield from self.through(pieces(track, samples))

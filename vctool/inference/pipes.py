"""A stream over pipes: raw samples in, as many out, the same bytes however they arrive."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from vctool.audio.resampling import resample_stream
from vctool.errors import AudioError
from vctool.export.stream import Run, Streamed
from vctool.nn.streaming import CHUNK_SAMPLES, chunk_samples

Format = Literal["f32le", "s16le"]

READ_BYTES = 2**16
"""At most so many bytes are read at once; a pipe that brings fewer is not waited for."""

REPORT_SECONDS = 10.0
"""Time between two lines about load and faults [s]."""


class Layout(NamedTuple):
    """How samples lie in bytes."""

    kind: str
    scale: float
    """What 1.0 is."""


LAYOUTS: dict[Format, Layout] = {"f32le": Layout("<f4", 1.0), "s16le": Layout("<i2", 32768.0)}


class Meter:
    """Counts what a stream does, and tells of it from time to time.

    Args:
        rate: sampling rate of what is counted [Hz].
        tell: takes a line.
        clock: time [s]; for tests.
    """

    def __init__(
        self, rate: int, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate = rate
        self.samples = self.underruns = self.bad = 0
        self.busy = 0.0
        self._tell, self._clock = tell, clock
        self._next = clock() + REPORT_SECONDS
        self._before = (0, 0.0)

    def add(self, block: np.ndarray, seconds: float) -> None:
        """Count a block (T,) and the time that it took [s]; tell if it is time to."""
        self.samples += len(block)
        self.busy += seconds
        self.bad += not np.isfinite(block).all()
        if self._clock() >= self._next:
            self._next += REPORT_SECONDS
            self._tell(self.line())

    def line(self, whole: bool = False) -> str:
        """Describe the time since the last line, or all of it; faults are always all of them."""
        samples, busy = (0, 0.0) if whole else self._before
        self._before = (self.samples, self.busy)
        heard = (self.samples - samples) / self.rate
        load = 100 * (self.busy - busy) / heard if heard else 0.0
        return (
            f"{self.samples / self.rate:.1f} s, load {load:.0f} %, underruns {self.underruns}, "
            f"blocks with NaN or infinity {self.bad}"
        )


def decoded(read: Callable[[], bytes], form: Format) -> Iterator[np.ndarray]:
    """Turn bytes into samples: (T,) float32 each.

    Args:
        read: returns the next bytes, none at the end.
        form: what they are.

    Raises:
        AudioError: there are none, or they end within a sample.
    """
    layout, rest, empty = LAYOUTS[form], b"", True
    size = np.dtype(layout.kind).itemsize
    while content := read():
        content, empty = rest + content, False
        whole = len(content) // size * size
        rest = content[whole:]
        if whole:
            values = np.frombuffer(content[:whole], layout.kind)
            yield (values / np.float32(layout.scale)).astype(np.float32, copy=False)
    if empty:
        raise AudioError("--stdin: empty; pipe raw samples into it, as from sox or ffmpeg")
    if rest:
        raise AudioError(
            f"--stdin: ends within a sample, with {len(rest)} bytes of {size}; is it {form}?"
        )


def encoded(wave: np.ndarray, form: Format) -> bytes:
    """Turn samples (T,) into bytes; 16-bit ones are clipped, never wrapped."""
    layout = LAYOUTS[form]
    if form == "f32le":
        return wave.astype(layout.kind).tobytes()
    scaled = np.rint(wave.astype(np.float64) * layout.scale)
    return np.clip(scaled, -32768, 32767).astype(layout.kind).tobytes()


def through(run: Run, blocks: Iterable[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Run a whole sound through a stream, at a rate of its own: as many samples out as in.

    Args:
        run: the stream.
        blocks: (T,) float32 each, of any length, at `rate`.
        rate: sampling rate of the sound [Hz].
    """
    if rate == run.rate:
        yield from Streamed(run).through(blocks)
        return
    taken = given = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal taken
        for block in blocks:
            taken += len(block)
            # A resampler spreads what is bad over all that is near.
            yield np.where(np.isfinite(block), block, np.float32(0))

    # Both resamplers get pieces of one size, so that nothing depends on how samples arrive.
    inner = resample_stream(_gathered(counted()), rate, run.rate)
    made = resample_stream(_gathered(Streamed(run).through(inner)), run.rate, rate)
    last = np.zeros(0, np.float32)
    for piece in made:
        yield last
        given += len(last)
        last = piece
    rest = last[: max(taken - given, 0)]
    yield np.pad(rest, (0, max(taken - given - len(rest), 0)))


def _gathered(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    waiting: list[np.ndarray] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        while count >= CHUNK_SAMPLES:
            joined = np.concatenate(waiting)
            yield joined[:CHUNK_SAMPLES]
            waiting, count = [joined[CHUNK_SAMPLES:]], count - CHUNK_SAMPLES
    yield np.concatenate([np.zeros(0, np.float32), *waiting])


class _Timed:
    """A run that notes how long it takes."""

    def __init__(self, run: Run) -> None:
        self.rate, self.granule, self.latency = run.rate, run.granule, run.latency
        self._run = run
        self.seconds = 0.0

    def step(self, wave: np.ndarray) -> np.ndarray:
        begin = time.monotonic()
        made = self._run.step(wave)
        self.seconds += time.monotonic() - begin
        return made


def pump(
    run: Run, form: Format, rate: int, source: int, sink: int, tell: Callable[[str], None]
) -> None:
    """Run what comes from one file descriptor into another, to its end.

    Args:
        run: the stream.
        form: of the samples on both sides.
        rate: of both sides [Hz].
        source: the descriptor that is read.
        sink: the descriptor that is written.
        tell: takes lines about load and faults.

    Raises:
        AudioError: the input ends within a sample.
        OSError: the output cannot be written.
    """
    timed, meter = _Timed(run), Meter(rate, tell)
    before = 0.0

    def heard() -> Iterator[np.ndarray]:
        nonlocal before
        for block in decoded(lambda: os.read(source, READ_BYTES), form):
            meter.add(block, timed.seconds - before)
            before = timed.seconds
            yield block

    for wave in through(timed, heard(), rate):
        content = memoryview(encoded(wave, form))
        while content:
            content = content[os.write(sink, content) :]
    meter.busy = timed.seconds
    tell(meter.line(whole=True))


def gathering(run: Run) -> int:
    """Return the number of samples that are computed at once over pipes."""
    return chunk_samples(run.granule)

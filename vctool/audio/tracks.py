"""Sound of any length with random access: in memory, on disk, or looped under a voice.

An hour of audio is read and written once, resampled on the way, and lies in a nameless temporary
file beside the output, so that memory does not grow with length and a kill leaves nothing behind.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from vctool.errors import AudioError

CHUNK_SECONDS = 10.0
"""Length of the pieces in which whole tracks are gone through [s]."""


class Track(Protocol):
    """A mono sound that can be read anywhere; outside of it there is silence."""

    samples: int

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples `start` to `stop` (may lie outside): (stop - start,) float32."""


def pieces(track: Track, chunk: int) -> Iterator[np.ndarray]:
    """Go through a track from start to end, `chunk` samples at a time."""
    for start in range(0, track.samples, chunk):
        yield track.read(start, min(start + chunk, track.samples))


def _padded(values: np.ndarray, before: int, length: int) -> np.ndarray:
    if before == 0 and len(values) == length:
        return values
    result = np.zeros(length, np.float32)
    result[before : before + len(values)] = values
    return result


class ArrayTrack:
    """A track in memory.

    Args:
        wave: (T,) float32.
        samples: length to give it; what lies past the wave is silence. T where not given.
    """

    def __init__(self, wave: np.ndarray, samples: int | None = None) -> None:
        self.wave = np.ascontiguousarray(wave, dtype=np.float32)
        self.samples = len(self.wave) if samples is None else samples

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples `start` to `stop`, silence outside: (stop - start,) float32."""
        low, high = max(start, 0), max(min(stop, self.samples, len(self.wave)), max(start, 0))
        return _padded(self.wave[low:high], low - start, stop - start)


class SpoolTrack:
    """A track in a temporary file without a name, written front to back and then read anywhere.

    Args:
        folder: where the file lies; the folder of the output, so that its disk is used and a
            full or read-only one is noticed before any work is done.

    Raises:
        AudioError: the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.samples = 0
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)
        except OSError as error:
            raise AudioError(
                f"{folder}: cannot be written to ({error.strerror}); pass --out with another folder"
            ) from None

    def __enter__(self) -> "SpoolTrack":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, wave: np.ndarray) -> None:
        """Write (T,) samples at the end.

        Raises:
            AudioError: the disk is full.
        """
        data = memoryview(np.asarray(wave, dtype=np.float32).tobytes())
        try:
            self._file.seek(0, 2)
            while len(data):
                data = data[self._file.write(data) :]
        except OSError as error:
            raise AudioError(
                f"{self.folder}: cannot be written to ({error.strerror}); free some space or pass "
                "--out with another folder"
            ) from None
        self.samples += len(wave)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples `start` to `stop`, silence outside: (stop - start,) float32."""
        low, high = max(start, 0), max(min(stop, self.samples), max(start, 0))
        self._file.seek(4 * low)
        values = np.zeros(high - low, np.float32)
        rest = values.data.cast("B")
        while len(rest) and (count := self._file.readinto(rest)):
            rest = rest[count:]
        return _padded(values, low - start, stop - start)


class Looped:
    """A track repeated, cut and moved so that it lasts as long as a voice.

        offset 2 s:    accompaniment [--ABCDEF|ABCDE...]      the voice enters at second 2
        offset -1 s:                [   .|ABCDEF|ABCD...]      a second of silence first

    Args:
        track: what is repeated; must not be empty.
        samples: length of the voice.
        offset: sample of the track at which the voice enters; negative lets silence go first.
    """

    def __init__(self, track: Track, samples: int, offset: int = 0) -> None:
        assert track.samples > 0, "an empty track cannot be looped"
        self.track = track
        self.samples = samples
        self.offset = offset

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples `start` to `stop`, silence outside: (stop - start,) float32."""
        result = np.zeros(stop - start, np.float32)
        at = max(start, 0, -self.offset)
        end = min(stop, self.samples)
        while at < end:
            begin = (at + self.offset) % self.track.samples
            count = min(end - at, self.track.samples - begin)
            result[at - start : at - start + count] = self.track.read(begin, begin + count)
            at += count
        return result

"""Sound in and out: any file that libsndfile reads becomes mono float32; PCM 16 is written.

What phones and browsers write (`UNREAD`) is decoded by ffmpeg first, where that is installed.

Samples are floats in [-1, 1] (float files may exceed it). Lengths are those of the decoded
samples, never of the header, because MP3 headers overstate them. A file that is missing, empty,
truncated, not audio, or holds NaN or infinity is an `AudioError` that names it. Files that are
merely odd (8 bit, 192 kHz, silent, a hundredth of a second) are returned as they are: whether they
are of use is the caller's judgement.
"""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vctool.audio import foreign
from vctool.audio.decoding import decode, open_checked
from vctool.audio.loudness import LevelMeter
from vctool.audio.resampling import resample, resample_stream
from vctool.errors import AudioError

SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc"),
    *(".w64", ".rf64", ".caf", ".au", ".snd"),
)
"""Endings, in lower case, by which files in folders are taken for audio."""

UNREAD = tuple(foreign.DEMUXERS)
"""Endings of recordings that libsndfile does not read, and ffmpeg decodes where it is installed.
Data dirs are made without them: their recordings are read piece by piece, on any machine."""

END_SLACK = 0.05
"""How far beyond the end of a file a segment may reach before it is an error [s]."""

FULL_SCALE = 0.99
"""Magnitude from which a sample counts as at full scale; 8 bits reach 0.992."""


@dataclass(frozen=True)
class AudioInfo:
    """What a file holds."""

    rate: int
    """Sampling rate [Hz]."""
    channels: int
    """Number of channels."""
    samples: int
    """Length of one channel [samples]; `info` takes it from the header, `measure` decodes."""
    subtype: str
    """Encoding, as libsndfile names it, such as `PCM_16`."""
    peak: float = math.nan
    """Largest magnitude of the mono signal; NaN where only the header was read."""
    swing: float = math.nan
    """Distance from the lowest to the highest sample, which no offset changes; NaN as above."""
    level: float = math.nan
    """Active level of the mono signal [dB of full scale]; NaN where only the header was read."""
    clipped: float = math.nan
    """Share of the samples at full scale beside another there; NaN as above."""

    @property
    def seconds(self) -> float:
        """Duration [s]."""
        return self.samples / self.rate


def info(path: Path) -> AudioInfo:
    """Read a file's header only.

    Raises:
        AudioError: the file is missing, empty, truncated or not audio.
    """
    with open_checked(path) as file:
        return AudioInfo(file.samplerate, file.channels, file.frames, file.subtype)


def measure(path: Path, *, channel: int | None = None) -> AudioInfo:
    """Decode a whole file in bounded memory: its true length, peak, active level and clipping.

    Args:
        path: the file.
        channel: 0-based channel to measure; the mean of all where not given.

    Raises:
        AudioError: as `read`.
    """
    with open_checked(path) as file:
        meter, samples, clipped = LevelMeter(file.samplerate), 0, 0
        lowest, highest = math.inf, -math.inf
        flat_top = _equal_beside if file.subtype in ("FLOAT", "DOUBLE") else _beside
        for block in decode(file, path, channel, 0, None):
            meter.add(block)
            lowest, highest = min(lowest, float(block.min())), max(highest, float(block.max()))
            samples += len(block)
            clipped += flat_top(np.abs(block))
        return AudioInfo(
            file.samplerate,
            file.channels,
            samples,
            file.subtype,
            max(-lowest, highest),
            highest - lowest,
            meter.level_db,
            clipped / max(1, samples),
        )


def _beside(size: np.ndarray) -> int:
    """Count the magnitudes, (T,), at full scale that have a neighbour there: peaks cut flat."""
    at_rail = size >= FULL_SCALE
    return _paired(at_rail, at_rail[1:] & at_rail[:-1])


def _equal_beside(size: np.ndarray) -> int:
    """Count those whose neighbour is the same: floats have room above full scale, and use it."""
    at_rail = size >= FULL_SCALE
    return _paired(at_rail, at_rail[1:] & (size[1:] == size[:-1]))


def _paired(at_rail: np.ndarray, pairs: np.ndarray) -> int:
    """Count the samples, of (T,) at the rail, in pairs (T - 1,) of neighbours."""
    if not at_rail.any():
        return 0
    paired = np.zeros(len(at_rail), bool)
    paired[1:] |= pairs
    paired[:-1] |= pairs
    return int(np.count_nonzero(paired))


def read(
    path: Path,
    rate: int | None = None,
    *,
    channel: int | None = None,
    start: float | None = None,
    end: float | None = None,
) -> tuple[np.ndarray, int]:
    """Read a file, or a stretch of it, as mono.

    Args:
        path: the file.
        rate: sampling rate to resample to [Hz]; the file's own where not given.
        channel: 0-based channel to take; the mean of all where not given.
        start: beginning of the stretch [s].
        end: end of the stretch [s].

    Returns:
        The wave, (T,) float32, with `T = resampled_length(...)` of the samples read, and its rate.

    Raises:
        AudioError: the file is missing, empty, truncated, not audio, holds NaN or infinity, has no
            such channel, or ends more than `END_SLACK` before `end`.
    """
    with open_checked(path) as file:
        first = round((start or 0.0) * file.samplerate)
        last = None if end is None else round(end * file.samplerate)
        if first < 0 or (last is not None and last <= first):
            raise AudioError(f"{path}: {start} s to {end} s is not a stretch of time")
        blocks = list(decode(file, path, channel, first, last))
        got = sum(map(len, blocks))
        wanted = 1 if last is None else last - first - round(END_SLACK * file.samplerate)
        if got < max(wanted, 1):
            held = file.frames / file.samplerate
            until = "its end" if end is None else f"{end} s"
            raise AudioError(f"{path}: holds {held:.2f} s, wanted {start or 0.0} s to {until}")
        own_rate = file.samplerate
    wave = np.concatenate(blocks)
    return (wave, own_rate) if rate is None else (resample(wave, own_rate, rate), rate)


def read_blocks(
    path: Path, rate: int | None = None, *, samples: int, channel: int | None = None
) -> Iterator[np.ndarray]:
    """Read a file of any length in bounded memory, resampled as one stream, without seams.

    Args:
        path: the file.
        rate: sampling rate to resample to [Hz]; the file's own where not given.
        samples: length of every block but the last, at the new rate.
        channel: 0-based channel to take; the mean of all where not given.

    Yields:
        Blocks, (samples,) float32, the last one shorter; joined they are what `read` returns.

    Raises:
        AudioError: as `read`.
    """
    assert samples > 0, samples
    held: list[np.ndarray] = []
    for piece in _resampled_pieces(path, rate, channel):
        held.append(piece)
        if sum(map(len, held)) >= samples:
            joined = np.concatenate(held)
            whole = len(joined) // samples * samples
            yield from joined[:whole].reshape(-1, samples)
            held = [joined[whole:]]
    rest = np.concatenate(held)
    if len(rest):
        yield rest


def _resampled_pieces(path: Path, rate: int | None, channel: int | None) -> Iterator[np.ndarray]:
    """Yield resampled pieces of uneven length, `resampled_length(...)` samples in all."""
    with open_checked(path) as file:
        own_rate = file.samplerate
        yield from resample_stream(decode(file, path, channel, 0, None), own_rate, rate or own_rate)


def list_audio(
    folder: Path, *, recursive: bool = True, suffixes: Sequence[str] = SUFFIXES
) -> list[Path]:
    """Find the audio files below a folder by their ending, sorted; hidden ones are left out.

    Folders that are links are followed, each folder once.
    """
    seen: set[tuple[int, int]] = set()
    found: list[Path] = []
    for root, folders, names in os.walk(folder, followlinks=True):
        state = Path(root).stat()
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        # in order, so that of two ways to a folder it is always the same one that is taken
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        found += [Path(root) / name for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.suffix.lower() in suffixes and path.is_file())

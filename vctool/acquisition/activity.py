"""Voice activity in long recordings: an energy detector, and segments of trainable length.

Frames of 20 ms count as active from 30 dB below the recording's loud frames on, or from -55 dB of
full scale where that is higher; from 20 dB below them where they are soft themselves. Loud is the
95th percentile, or 20 dB below the loudest frame in recordings that sound rarely. What lies below
50 Hz does not count. Stem recordings are silent between phrases, so energy is all that is needed;
noisy recordings come out as one long activity, which is then cut by length only.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from vctool import audio
from vctool.audio.loudness import HighPass
from vctool.cache import over
from vctool.errors import AudioError

FRAME = 0.02
"""Step of the detector [s]."""

SHORTEST = 3.0
"""Segments are widened into the pauses around them up to this length [s]."""

LONGEST = 12.0
"""Longer activity is cut at its quietest point [s]."""

_BELOW_LOUD_DB = 30.0
_LEAST_DB = -55.0
_BELOW_SOFT_DB = 20.0
_RARE_DB = 20.0
_SILENT_DB = -90.0  # the last bit of 16
_FAINTEST = 1e-12  # power that silence counts as (-120 dB), below 16 bits
_PAUSE = 0.6  # pauses up to this length belong to a phrase [s]
_JOIN = 2.0  # phrases too short to stand alone are joined over pauses up to this length [s]
_BLIP = 0.3  # activity up to this length is no phrase [s]
_MARGIN = 0.15  # what is kept around a phrase [s]


def segments_of(
    files: Sequence[Path],
    *,
    channel: int | None = None,
    shortest: float = SHORTEST,
    longest: float = LONGEST,
    nj: int = 1,
) -> dict[Path, list[tuple[float, float]]]:
    """Cut many recordings, on threads or a cluster; see `segments` and `vctool.cache`.

    Raises:
        AudioError: a file cannot be used.
    """
    work = partial(segments, channel=channel, shortest=shortest, longest=longest)
    purpose = f"segments channel {channel} {shortest:g} to {longest:g} s"
    cuts: dict[Path, list[tuple[float, float]]] = {}
    for file, found in zip(files, over(files, work, purpose, nj), strict=True):
        if isinstance(found, AudioError):
            raise found
        cuts[file] = [(start, end) for start, end in found]
    return cuts


def segments(
    path: Path, *, channel: int | None = None, shortest: float = SHORTEST, longest: float = LONGEST
) -> list[tuple[float, float]]:
    """Cut the sounding parts of a recording into segments.

    Args:
        path: the recording, of any length.
        channel: 0-based channel; the mean of all where not given.
        shortest: see `SHORTEST`; recordings that are shorter give one shorter segment.
        longest: see `LONGEST`; at least twice `shortest`.

    Returns:
        `(start, end)` [s] in order, not overlapping, within the recording; none where it is silent.

    Raises:
        AudioError: the file cannot be used.
    """
    assert longest >= 2 * shortest, (shortest, longest)
    level, total = levels(path, channel=channel)
    active = level > _threshold(level)
    found = []
    for first, last in phrases(active):
        start, end = max(0.0, first * FRAME - _MARGIN), min(total, last * FRAME + _MARGIN)
        found += _divide(level, start, end, shortest, longest)
    merged: list[tuple[float, float]] = []
    for start, end in found:
        if merged and start - merged[-1][1] <= _JOIN and end - merged[-1][0] <= longest:
            shorter = min(end - start, merged[-1][1] - merged[-1][0])
            if shorter < shortest:
                merged[-1] = (merged[-1][0], end)
                continue
        merged.append((max(start, merged[-1][1] if merged else 0.0), end))
    grown: list[tuple[float, float]] = []
    for position, (start, end) in enumerate(merged):
        following = merged[position + 1][0] if position + 1 < len(merged) else total
        previous = grown[-1][1] if grown else 0.0
        grown.append(_widen(start, end, previous, following, shortest))
    return [(_milliseconds(start), _milliseconds(end)) for start, end in grown]


def _threshold(level: np.ndarray) -> float:
    """Return the level [dB] above which frames, (F,) [dB], are active."""
    if level.max() < _SILENT_DB:
        return np.inf
    loud = max(float(np.percentile(level, 95)), float(level.max()) - _RARE_DB)
    return max(min(_LEAST_DB, loud - _BELOW_SOFT_DB), loud - _BELOW_LOUD_DB)


def _milliseconds(time: float) -> float:
    """Round down, so that no segment ends after its recording; 7.23 * 1000 is below 7230."""
    return int(1000 * time + 1e-6) / 1000


def levels(path: Path, *, channel: int | None = None) -> tuple[np.ndarray, float]:
    """Measure a recording's level in frames of `FRAME` seconds, in bounded memory.

    Returns:
        The levels, (F,) [dB of full scale], and the length of the recording [s].
    """
    rate = audio.info(path).rate
    size = round(FRAME * rate)
    parts, samples, high_pass = [], 0, HighPass(rate)
    for block in audio.read_blocks(path, samples=size * 4096, channel=channel):
        samples += len(block)
        frames = np.pad(high_pass(block), (0, -len(block) % size)).reshape(-1, size)
        parts.append(np.mean(np.square(frames, dtype=np.float64), axis=1))
    return 10 * np.log10(np.maximum(np.concatenate(parts), _FAINTEST)), samples / rate


def phrases(active: np.ndarray) -> list[tuple[int, int]]:
    """Join active frames, (F,) bool, over short pauses and leave out blips.

    Returns:
        `(first, last + 1)` frames of each phrase.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8)))
    joined: list[tuple[int, int]] = []
    for first, last in edges.reshape(-1, 2).tolist():
        if joined and first - joined[-1][1] <= _PAUSE / FRAME:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return [(first, last) for first, last in joined if last - first > _BLIP / FRAME]


def _divide(
    level: np.ndarray, start: float, end: float, shortest: float, longest: float
) -> list[tuple[float, float]]:
    """Cut at the quietest frame that leaves both parts long enough, until all are short enough."""
    parts: list[tuple[float, float]] = []
    while end - start > longest:
        low = round((start + shortest) / FRAME)
        high = max(low + 1, round(min(start + longest, end - shortest) / FRAME))
        # a smoothed level, so that the cut falls into a pause and not into a zero crossing
        smooth = np.convolve(level[low:high], np.ones(5) / 5, mode="same")
        smooth[:2] = smooth[-2:] = np.inf  # the smoothing has no neighbours there
        cut = (low + int(np.argmin(smooth))) * FRAME
        parts.append((start, cut))
        start = cut
    return [*parts, (start, end)]


def _widen(
    start: float, end: float, previous: float, following: float, shortest: float
) -> tuple[float, float]:
    """Extend a segment into the pauses on both sides up to the minimum length."""
    missing = max(0.0, shortest - (end - start))
    before = min(missing / 2, start - previous)
    after = min(missing - before, following - end)
    before = min(missing - after, start - previous)
    return start - before, end + after

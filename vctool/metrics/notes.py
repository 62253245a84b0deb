"""Notes that an F0 track holds: their share, their lengths and the steps between them.

Singing rests on notes, speech glides; but a drone rests more than any singer, so the share of held
frames is scored by its distance to real singing, with the lengths and intervals beside it.
"""

from bisect import insort
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from vctool.metrics.pitch import FRAME_RATE, to_semitones

TOLERANCE = 0.5
"""Frames of one note stay within this distance of its median [semitones]."""
MIN_SECONDS = 0.1
"""A segment this long or longer is a held note."""
MAX_GAP_SECONDS = 0.3
"""Notes further apart than this make no interval (a breath lies between)."""
LENGTH_EDGES = np.r_[np.arange(0.0, 2.0, 0.05), np.inf]
"""Edges of the histogram of segment lengths [s]."""
INTERVAL_EDGES = np.arange(-12.5, 13.0, 1.0)
"""Edges of the histogram of intervals [semitones]; larger ones count in the outer bins."""


class Note(NamedTuple):
    """A stretch of voiced frames around one pitch."""

    start: int
    """First frame."""
    stop: int
    """One past the last frame."""
    pitch: float
    """Median [MIDI note number]."""

    @property
    def seconds(self) -> float:
        """Length [s]."""
        return (self.stop - self.start) / FRAME_RATE

    @property
    def held(self) -> bool:
        """Whether it is long enough to be heard as a note."""
        return self.stop - self.start >= round(MIN_SECONDS * FRAME_RATE)


def segment(f0: np.ndarray) -> list[Note]:
    """Cut the voiced frames of a track into segments, from left to right.

    A segment grows as long as all its frames lie within 50 cents of their median; every voiced
    frame is in exactly one segment.

    Args:
        f0: (F,) [Hz], 0 where unvoiced.
    """
    notes: list[Note] = []
    pitches: list[float] = []  # sorted, of the segment that grows

    def close(stop: int) -> None:
        if pitches:
            notes.append(Note(stop - len(pitches), stop, _median(pitches)))
            pitches.clear()

    for frame, pitch in enumerate(to_semitones(f0).tolist()):
        if pitch != pitch:
            close(frame)
            continue
        grown = pitches.copy()
        insort(grown, pitch)
        median = _median(grown)
        if max(grown[-1] - median, median - grown[0]) > TOLERANCE:
            close(frame)
            grown = [pitch]
        pitches[:] = grown
    close(len(f0))
    return notes


def _median(ordered: list[float]) -> float:
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return 0.5 * (ordered[middle - 1] + ordered[middle])


def held_frames(notes: list[Note], frames: int) -> np.ndarray:
    """Mark the frames that lie in held notes: (frames,) of bool."""
    held = np.zeros(frames, dtype=bool)
    for note in notes:
        held[note.start : note.stop] = note.held
    return held


def stability(f0: np.ndarray) -> float:
    """Share of voiced frames that lie in notes held 100 ms or longer, 0..1; NaN if unvoiced."""
    voiced = int(np.count_nonzero(f0))
    held = int(np.count_nonzero(held_frames(segment(f0), len(f0))))
    return held / voiced if voiced else float("nan")


def length_histogram(notes: list[Note]) -> np.ndarray:
    """Count voiced frames by the length of the segment they lie in, over `LENGTH_EDGES`.

    Short segments count too, so that speech has a histogram; weighting by frames makes the counts
    shares of voiced time.
    """
    lengths = [note.seconds + 1e-6 for note in notes]  # 0.1 s belongs to the bin that it opens
    frames = [note.stop - note.start for note in notes]
    return np.histogram(lengths, LENGTH_EDGES, weights=frames)[0].astype(float)


def interval_histogram(notes: list[Note]) -> np.ndarray:
    """Count the steps between successive held notes over `INTERVAL_EDGES`, repetitions in 0."""
    held = [note for note in notes if note.held]
    steps = [
        float(np.clip(after.pitch - before.pitch, -12.0, 12.0))
        for before, after in pairwise(held)
        if (after.start - before.stop) / FRAME_RATE <= MAX_GAP_SECONDS
    ]
    return np.histogram(steps, INTERVAL_EDGES)[0].astype(float)

"""Notes read off the activity of pitches."""

import numpy as np
from scipy.ndimage import maximum_filter1d

from vctool.models.base import Note
from vctool.models.timbre_vqvae.content import Content
from vctool.models.timbre_vqvae.spectra import LOWEST, PER_SEMITONE, PITCHES

BEGINS, ENDS = 0.5, 0.3
"""A note begins where its pitch is this active, and ends where it is less than that."""
LEAST_SECONDS = 0.06
"""Shortest note [s]."""
BELOW = (12, 19, 24, 28)
"""A pitch is likely a harmonic of those that lie these many semitones below it."""
SHARE = 0.8
"""It counts if its activity is at least this share of theirs; chosen on held-out tunes."""
AGAIN = 0.5
"""A pitch that sounds already begins again where its onset rises above this."""


def find(content: Content, frame: float) -> list[Note]:
    """Find the notes of one recording.

    Args:
        content: with a batch of one.
        frame: time between frames [s].

    Returns:
        The notes by onset.
    """
    active, onset = (
        by_semitone(values[0].cpu().numpy()) for values in (content.active, content.onset)
    )
    # a note also makes its neighbours a little active, and its harmonics
    needed = maximum_filter1d(active, 3, axis=0)
    for step in BELOW:
        needed[step:] = np.maximum(needed[step:], SHARE * active[:-step])
    active = np.where(active >= needed, active, 0.0)
    found: list[Note] = []
    for row in np.flatnonzero(active.max(axis=1) >= BEGINS):
        found += _of_pitch(active[row], onset[row], LOWEST + int(row), frame)
    return sorted(found)


def _of_pitch(active: np.ndarray, onset: np.ndarray, pitch: int, frame: float) -> list[Note]:
    """Find the notes of one pitch in its activity and onset, both (F,)."""
    found, start = list[Note](), -1
    for now in range(len(active) + 1):
        value = active[now] if now < len(active) else 0.0
        again = 0 < now < len(active) and onset[now] >= AGAIN > onset[now - 1]
        if start >= 0 and (value < ENDS or (again and (now - start) * frame >= LEAST_SECONDS)):
            if (now - start) * frame >= LEAST_SECONDS:
                loud = int(np.clip(round(127 * active[start:now].max()), 1, 127))
                found.append(Note(start * frame, now * frame, pitch, loud))
            start = -1
        if start < 0 and value >= BEGINS:
            start = now
    return found


def by_semitone(values: np.ndarray) -> np.ndarray:
    """Return the most of each semitone's bins: (PITCHES, F) to (88, F)."""
    around = np.pad(values, ((1, 1), (0, 0)))[:-2]  # a semitone's own bin is its middle one
    return np.asarray(around.reshape(PITCHES // PER_SEMITONE, PER_SEMITONE, -1).max(axis=1))


def middle(pitches: np.ndarray) -> float:
    """Return the median bin of (PITCHES,) seconds by pitch."""
    total = np.cumsum(pitches, dtype=np.float64)
    return float(np.searchsorted(total, 0.5 * total[-1]))

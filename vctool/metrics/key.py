"""The key of an accompaniment, and how much of a melody lies in it.

The key is the one whose profile (Krumhansl and Kessler, 1982, "Tracing the dynamic changes in
perceived tonal organization") correlates best with the energy of the pitch classes. Of random notes
7 in 12 lie in any key; of the amateurs of MIR-1K, against their own accompaniments, 0.44 to 0.93
and 0.70 in the mean of 14 songs, and 0.54 against those of other songs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vctool.metrics.notes import Note

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
CHANCE = 7 / 12
"""Share of random notes that lies in a key."""

_PROFILES = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
_STEPS = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


class Key(NamedTuple):
    """A key: `Key(9, "minor")` is A minor."""

    tonic: int
    """Pitch class, 0 for C."""
    mode: str
    """`major` or `minor`, the natural one."""

    def __str__(self) -> str:
        """Return its name, such as `A minor`."""
        return f"{NAMES[self.tonic]} {self.mode}"

    @property
    def classes(self) -> frozenset[int]:
        """Its seven pitch classes."""
        return frozenset((self.tonic + step) % 12 for step in _STEPS[self.mode])


def find_key(energy: np.ndarray) -> Key | None:
    """Find the key of a sound.

    Args:
        energy: (12,) of the pitch classes C..B, of any unit.

    Returns:
        The key; None where no class stands out, as in silence.
    """
    if not np.ptp(energy) > 1e-4 * np.sum(energy):
        return None
    likeness = {
        Key(tonic, mode): float(np.corrcoef(energy, np.roll(profile, tonic))[0, 1])
        for mode, profile in _PROFILES.items()
        for tonic in range(12)
    }
    return max(likeness, key=lambda key: likeness[key])


def seconds_in(notes: Sequence[Note], key: Key) -> tuple[float, float]:
    """Add up the held notes of a melody that lie in a key.

    Args:
        notes: segments of an F0 track (`notes.segment`); those that are not held are left out.
        key: the key.

    Returns:
        Length of those in the key, and of all [s].
    """
    held = [note for note in notes if note.held]
    inside = [note.seconds for note in held if round(note.pitch) % 12 in key.classes]
    return sum(inside), sum(note.seconds for note in held)

"""Whether the notes heard in an output are those of the score that its content was played from."""

import numpy as np

from vctool.metrics import heard_notes, note_distance
from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio

TITLE = "notes of the score"
MEASURES = {
    "midi_pitch": Measure(
        "pitch to MIDI",
        "share",
        "lower",
        "Jaccard distance of the keys heard to sound from those of the score, moment by moment",
        gap=False,
        overview=True,
    ),
    "midi_onsets": Measure(
        "onset F1 to MIDI",
        "share",
        "higher",
        "notes that are heard to begin with the score's, within 50 ms, in the same key",
        gap=False,
    ),
}
BOARDS = {"timbre": Stand(30)}
NEEDS = ("notes",)
PACKAGES = heard_notes.PACKAGES
SETTINGS = heard_notes.SETTINGS


def measure(row: Row) -> dict[str, Pooled]:
    """Pool the distances of what is heard from what was written."""
    assert row.notes is not None
    pairs = list(zip(heard_notes.of_outputs(row), row.notes, strict=True))
    ones = np.ones(len(pairs))
    return {
        "midi_pitch": ratio(np.array([note_distance.jaccard(*pair) for pair in pairs]), ones),
        "midi_onsets": ratio(np.array([note_distance.onset_f1(*pair) for pair in pairs]), ones),
    }

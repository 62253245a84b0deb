"""Whether the notes heard in an output are those of the score that its content was played from."""

from vctool.metrics import heard_notes
from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled

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
    return heard_notes.compared("midi", row, row.notes)

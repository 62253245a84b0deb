"""Whether the notes heard in an output are those heard in its target."""

from vctool.metrics import heard_notes
from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled

TITLE = "notes heard"
MEASURES = {
    "heard_pitch": Measure(
        "pitch",
        "share",
        "lower",
        "Jaccard distance of the keys heard to sound from those of the target, moment by moment",
        gap=False,
    ),
    "heard_onsets": Measure(
        "onset F1",
        "share",
        "higher",
        "notes that are heard to begin with the target's, within 50 ms, in the same key",
        gap=False,
    ),
}
BOARDS = {"timbre": Stand(40)}
NEEDS = ("targets",)
PACKAGES = heard_notes.PACKAGES
SETTINGS = heard_notes.SETTINGS


def measure(row: Row) -> dict[str, Pooled]:
    """Pool the distances of what is heard."""
    return heard_notes.compared("heard", row, heard_notes.of_targets(row))

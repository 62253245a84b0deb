"""Whether a take is sung by the singer of its lead: the cosine of their embeddings.

Resemblyzer's d-vectors, as in `metrics.speaker`. On RAVDESS a second take has 0.93 and another
singer 0.74.
"""

from importlib.metadata import version

import numpy as np

from vctool.metrics.base import Group, Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.speaker import LEVEL_DB, SpeakerEncoder

SETTINGS = f"Resemblyzer d-vectors at 16 kHz, active level {LEVEL_DB:g} dB, pauses trimmed"
"""What these values depend on, for the line under their table."""

TITLE = "singer"
MEASURES = {
    "singer": Measure(
        "singer", "cosine", "higher", "speaker embedding to that of the lead", gap=False
    )
}
BOARDS = {"doubles": Stand(40)}
NEEDS = ("sources",)
PACKAGES = ("resemblyzer",)


def measure(row: Row) -> dict[str, Pooled]:
    """Pool the cosines of takes to their leads."""
    encoder = row.once("speaker encoder", SpeakerEncoder)
    judge = f"singer, Resemblyzer {version('resemblyzer')}: {SETTINGS}"
    assert row.sources is not None

    def embed(group: Group) -> np.ndarray:
        return row.recall(judge, group.waves, group.rate, encoder.embed_all)

    lead = row.sources.once("singer", lambda: embed(row.sources))  # type: ignore[arg-type]
    cosines = np.sum(embed(row.outputs) * lead, axis=1)
    return {"singer": ratio(cosines, np.ones(len(cosines)))}

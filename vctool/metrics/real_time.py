"""Real-time factor of synthesis."""

import numpy as np

from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio

TITLE = "real-time factor"
MEASURES = {
    "rtf": Measure(
        "real-time factor", "", "lower", "processor seconds per second of sound", gap=False
    )
}
BOARDS = {"vocoders": Stand(60)}
SETTINGS = "processor time of one thread from features to sound, the analysis left out"


def measure(row: Row) -> dict[str, Pooled]:
    """Pool the time that outputs took over their length; nothing where it was not taken."""
    if row.seconds is None:
        return {}
    lengths = np.array([len(wave) / row.outputs.rate for wave in row.outputs.waves])
    return {"rtf": ratio(row.seconds, lengths)}

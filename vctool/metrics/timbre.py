"""Whether an output sounds like its target's instrument, as a network tells instruments apart."""

import numpy as np

from vctool.metrics import timbre_network
from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio

TITLE = "timbre"
MEASURES = {
    "timbre_target": Measure(
        "timbre",
        "",
        "lower",
        "1 - cosine of the timbre network's embeddings, to the target",
        overview=True,
        bounds=(0.0, 2.0),
    )
}
BOARDS = {"timbre": Stand(20)}
NEEDS = ("targets",)
SETTINGS = timbre_network.SETTINGS


def measure(row: Row) -> dict[str, Pooled]:
    """Pool the distances of timbre to the targets."""
    assert row.targets is not None
    one, other = (timbre_network.of(group, row) for group in (row.outputs, row.targets))
    return {"timbre_target": ratio(1.0 - (one * other).sum(axis=1), np.ones(len(one)))}

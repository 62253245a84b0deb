"""F0 error of an output against real singing of the same sentence, aligned by time maps.

Speech, singing and output are of different lengths: time maps lead from the speech to both, and F0
is compared where they meet.
"""

import numpy as np

from vctool.metrics.analysis import Analysis
from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.pitch import cents_off, fold_octaves

TITLE = "F0 error"
MEASURES = {
    "f0_error": Measure("F0 error", "cents", "lower", "mean |F0 - paired truth|", exact=0.0),
    "f0_error_folded": Measure(
        "F0 error, folded", "cents", "lower", "the same with octaves forgiven", exact=0.0
    ),
}
BOARDS = {"singing": Stand(50)}
ANALYSIS = Analysis
NEEDS = ("sources", "targets", "target_maps")
SETTINGS = "frames voiced in output and truth, aligned by the time maps; octaves count"


def measure(row: Row[Analysis]) -> dict[str, Pooled]:
    """Pool the differences at equal moments of the sources, to which both maps lead."""
    assert row.sources is not None and row.targets is not None and row.target_maps is not None
    analyses = row.outputs.analyses
    made_maps = row.time_maps or [
        np.array([[0.0, 0.0], [source.seconds, one.seconds]])
        for one, source in zip(analyses, row.sources.analyses, strict=True)
    ]
    rows = []
    for one, truth, sung, made in zip(
        analyses, row.targets.analyses, row.target_maps, made_maps, strict=True
    ):
        moments = np.unique(np.concatenate([sung[:, 0], made[:, 0]]))
        moments = moments[moments <= min(sung[-1, 0], made[-1, 0])]
        cents = cents_off(
            one.f0,
            truth.f0,
            np.interp(moments, made[:, 0], made[:, 1]),
            np.interp(moments, sung[:, 0], sung[:, 1]),
        )
        rows.append([np.abs(cents).sum(), np.abs(fold_octaves(cents)).sum(), cents.size])
    sums = np.array(rows)
    return {
        "f0_error": ratio(sums[:, 0], sums[:, 2]),
        "f0_error_folded": ratio(sums[:, 1], sums[:, 2]),
    }

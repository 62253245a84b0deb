"""How far a take is from what second takes of one singer are.

    distance = mean over the six measures of min(3, |value - median| / interquartile range)

The norms are of 72 pairs of first and second takes: six of ten actors of RAVDESS (01, 02, 04, 05,
06, 07; songs at normal intensity). recipes/README.md says how they were made.
"""

from typing import NamedTuple

import numpy as np

from vctool.metrics import take_movement, take_sum
from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.voice_analysis import VoiceAnalysis


class Norm(NamedTuple):
    """What second takes measure."""

    low: float
    """First quartile."""
    median: float
    high: float
    """Third quartile."""


NORMS = {
    "take_timing": Norm(18.4, 26.8, 35.0),
    "take_f0": Norm(19.1, 25.8, 36.0),
    "take_level": Norm(1.77, 2.12, 2.57),
    "take_sum": Norm(2.82, 2.99, 3.14),
    "take_ripple": Norm(0.890, 1.06, 1.21),
    "take_ncc": Norm(0.341, 0.404, 0.498),
}
"""By measure, in the order of the columns."""
LARGEST = 3.0
"""What a single measure may add at most [interquartile ranges]."""
PASSES = 0.75
"""Largest mean distance of what may stand for second takes, which themselves have about 0.6."""
PASSES_DB = (2.7, 3.3)
"""Where the mean level of its sums with the leads has to lie [dB]."""

SETTINGS = (
    f"mean over {len(NORMS)} measures of |value - median| / interquartile range of 72 real second "
    f"takes of six singers, each at most {LARGEST:g}"
)
"""What these values depend on, for the line under their table."""

TITLE = "distance"
MEASURES = {
    "take_distance": Measure(
        "distance", "", "lower", "how far from what real second takes are", gap=False
    )
}
BOARDS = {"doubles": Stand(30)}
ANALYSIS = VoiceAnalysis
NEEDS = ("sources",)


def measure(row: Row[VoiceAnalysis]) -> dict[str, Pooled]:
    """Pool the distances of takes: the mean."""
    found = distances(np.concatenate([take_movement.values(row), take_sum.values(row)], axis=1))
    return {"take_distance": ratio(found, np.ones(len(found)))}


def distances(values: np.ndarray) -> np.ndarray:
    """Return the distances (N,) of takes with measures (N, 6), 0 to `LARGEST`."""
    norms = np.array(list(NORMS.values()))
    away = np.abs(values - norms[:, 1]) / (norms[:, 2] - norms[:, 0])
    return np.asarray(np.minimum(away, LARGEST).mean(axis=1))


def passes(distance: float, sum_db: float) -> bool:
    """Tell whether takes may stand for second takes, by their mean distance and sum [dB]."""
    return distance <= PASSES and PASSES_DB[0] <= sum_db <= PASSES_DB[1]


def norms(values: np.ndarray) -> list[Norm]:
    """Return the norms (6) of second takes with measures (N, 6)."""
    return [Norm(*quartiles) for quartiles in np.quantile(values, [0.25, 0.5, 0.75], axis=0).T]

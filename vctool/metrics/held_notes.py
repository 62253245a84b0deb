"""Note stability: share of held notes, and distributions of note lengths and intervals.

Compared with real singing: a drone holds more than any singer, and speech glides.
"""

import numpy as np

from vctool.metrics.analysis import Analysis
from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, earth_mover, ratio
from vctool.metrics.notes import (
    MIN_SECONDS,
    TOLERANCE,
    held_frames,
    interval_histogram,
    length_histogram,
)

TITLE = "note stability"
MEASURES = {
    "note_stability": Measure(
        "note stability", "share", "real", "voiced frames in notes held 100 ms or longer"
    ),
    "note_lengths": Measure(
        "note lengths off",
        "ms",
        "lower",
        "earth mover's distance of note lengths to real singing",
        of_set=True,
    ),
    "intervals": Measure(
        "intervals off",
        "st",
        "lower",
        "earth mover's distance of intervals to real singing",
        of_set=True,
    ),
}
BOARDS = {"singing": Stand(30)}
ANALYSIS = Analysis
NEEDS = ("reference",)
SETTINGS = (
    f"voiced frames in segments of {MIN_SECONDS * 1000:.0f} ms or more that stay within "
    f"{TOLERANCE * 100:.0f} cents of their median"
)

LENGTH_BIN_MS, INTERVAL_BIN = 50.0, 1.0
"""Widths of the bins of the histograms: of note lengths [ms], and of intervals [semitones]."""


def measure(row: Row[Analysis]) -> dict[str, Pooled]:
    """Pool the share of held frames, and the distances of both histograms to the reference's."""
    analyses, reference = row.outputs.analyses, row.reference
    assert reference is not None
    held = [
        np.count_nonzero(held_frames(one.notes, len(one.f0))) if one.voiced else 0
        for one in analyses
    ]
    lengths = np.stack([length_histogram(one.notes) for one in analyses])
    steps = np.stack([interval_histogram(one.notes) for one in analyses])
    real_lengths = np.sum([length_histogram(one.notes) for one in reference.analyses], axis=0)
    real_steps = np.sum([interval_histogram(one.notes) for one in reference.analyses], axis=0)
    return {
        "note_stability": ratio(np.array(held), np.array([one.voiced for one in analyses])),
        "note_lengths": earth_mover(lengths, real_lengths, LENGTH_BIN_MS),
        "intervals": earth_mover(steps, real_steps, INTERVAL_BIN),
    }

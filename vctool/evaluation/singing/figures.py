"""Plots of singing's scores besides spectrograms: histograms of notes and intervals."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vctool.evaluation.board import Board
from vctool.evaluation.page.figures import new_figure, save
from vctool.evaluation.page.report import MODEL
from vctool.evaluation.page.table import COPY
from vctool.evaluation.singing.baselines import SNAP
from vctool.evaluation.singing.board import REAL
from vctool.metrics import notes
from vctool.metrics.analysis import Analysis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_histograms(path: Path, board: Board[Analysis]) -> None:
    """Draw how long segments of F0 are held and which steps lie between notes, by system."""
    figure = new_figure(6.0)
    lengths: Axes = figure.add_subplot(2, 1, 1)
    steps: Axes = figure.add_subplot(2, 1, 2)
    for name in (REAL, COPY, SNAP, MODEL):
        counts = histograms(board, name)
        style: dict[str, Any] = {"linewidth": 2.5 if name == MODEL else 1.2, "label": name}
        lengths.step(notes.LENGTH_EDGES[:-1], counts["lengths"], where="post", **style)
        middle = (notes.INTERVAL_EDGES[:-1] + notes.INTERVAL_EDGES[1:]) / 2
        steps.step(middle, counts["intervals"], where="mid", **style)
    lengths.set(xlabel="length of segment [s]", ylabel="share of voiced time")
    steps.set(xlabel="interval between held notes [semitones]", ylabel="share")
    lengths.legend()
    save(figure, path)


def histograms(board: Board[Analysis], name: str) -> dict[str, list[float]]:
    """Return a system's histograms as shares, over `LENGTH_EDGES` and `INTERVAL_EDGES`."""
    analyses = board.analyses[name]
    lengths = np.sum([notes.length_histogram(one.notes) for one in analyses], axis=0)
    steps = np.sum([notes.interval_histogram(one.notes) for one in analyses], axis=0)
    return {
        "lengths": (lengths / max(float(lengths.sum()), 1.0)).tolist(),
        "intervals": (steps / max(float(steps.sum()), 1.0)).tolist(),
    }

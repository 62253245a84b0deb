"""Plots of a singing recipe's scores: spectrograms, histograms of notes and intervals, losses."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vctool.evaluation.page import figures
from vctool.evaluation.singing.board import REAL, SingingBoard
from vctool.experiment.recipe import Recipe
from vctool.metrics import notes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = {"copy": "input", "model": "output", "resynthesis": "reconstruction"}
"""Systems in a spectrogram plot, and what they are called there."""


def draw_all(
    recipe: Recipe,
    board: SingingBoard,
    systems: Mapping[str, Sequence[np.ndarray]],
    names: Sequence[str],
) -> list[Path]:
    """Draw every plot below `exp/<name>/plots/` and return their paths."""
    folder = recipe.exp / "plots"
    waves = {label: systems[name] for name, label in ROWS.items()}
    tracks = {label: [one.f0 for one in board.analyses[name]] for name, label in ROWS.items()}
    paths = figures.draw_utterances(folder, names, waves, tracks, recipe.features.rate)
    draw_histograms(folder / "notes.png", board)
    return [*paths, folder / "notes.png", *figures.draw_journal(recipe.exp)]


def draw_histograms(path: Path, board: SingingBoard) -> None:
    """Draw how long segments of F0 are held and which steps lie between notes, by system."""
    figure = figures.new_figure(6.0)
    lengths: Axes = figure.add_subplot(2, 1, 1)
    steps: Axes = figure.add_subplot(2, 1, 2)
    for name in (REAL, "copy", "F0 snap", "model"):
        counts = histograms(board, name)
        style: dict[str, Any] = {"linewidth": 2.5 if name == "model" else 1.2, "label": name}
        lengths.step(notes.LENGTH_EDGES[:-1], counts["lengths"], where="post", **style)
        middle = (notes.INTERVAL_EDGES[:-1] + notes.INTERVAL_EDGES[1:]) / 2
        steps.step(middle, counts["intervals"], where="mid", **style)
    lengths.set(xlabel="length of segment [s]", ylabel="share of voiced time")
    steps.set(xlabel="interval between held notes [semitones]", ylabel="share")
    lengths.legend()
    figures.save(figure, path)


def histograms(board: SingingBoard, name: str) -> dict[str, list[float]]:
    """Return a system's histograms as shares, over `LENGTH_EDGES` and `INTERVAL_EDGES`."""
    analyses = board.analyses[name]
    lengths = np.sum([notes.length_histogram(one.notes) for one in analyses], axis=0)
    steps = np.sum([notes.interval_histogram(one.notes) for one in analyses], axis=0)
    return {
        "lengths": (lengths / max(float(lengths.sum()), 1.0)).tolist(),
        "intervals": (steps / max(float(steps.sum()), 1.0)).tolist(),
    }

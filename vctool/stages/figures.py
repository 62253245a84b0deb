"""Plots of stage 6: spectrograms with F0, histograms of notes and intervals, loss curves."""

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vctool.metrics import notes
from vctool.metrics.board import REAL, Board
from vctool.metrics.pitch import FRAME_RATE
from vctool.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 3
"""Utterances whose spectrograms are drawn."""
ROWS = {"copy": "input", "model": "output", "resynthesis": "reconstruction"}
"""Systems in a spectrogram plot, and what they are called there."""


def draw_all(
    recipe: Recipe,
    board: Board,
    systems: Mapping[str, Sequence[np.ndarray]],
    names: Sequence[str],
) -> list[Path]:
    """Draw every plot below `exp/<name>/plots/` and return their paths."""
    folder = recipe.exp / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(min(SHOWN, len(names))):
        path = folder / f"{names[index]}.png"
        waves = {label: systems[name][index] for name, label in ROWS.items()}
        tracks = {label: board.analyses[name][index].f0 for name, label in ROWS.items()}
        draw_spectrograms(path, waves, tracks, recipe.features.rate, names[index])
        paths.append(path)
    draw_histograms(folder / "notes.png", board)
    paths.append(folder / "notes.png")
    journal = read_journal(recipe.exp / "log" / "metrics.jsonl")
    if journal:
        draw_losses(folder / "losses.png", journal)
        paths.append(folder / "losses.png")
    return paths


def draw_spectrograms(
    path: Path,
    waves: Mapping[str, np.ndarray],
    tracks: Mapping[str, np.ndarray],
    rate: int,
    title: str,
) -> None:
    """Draw spectrograms one above the other, F0 as a line in each.

    Args:
        path: the PNG.
        waves: (T,) by label, at `rate`.
        tracks: F0 (F,) [Hz] by label, every 10 ms, 0 where unvoiced.
        rate: [Hz].
        title: above the plot.
    """
    figure = _figure(3.0 * len(waves))
    figure.suptitle(title)
    for place, (label, wave) in enumerate(waves.items(), 1):
        axes: Axes = figure.add_subplot(len(waves), 1, place)
        faint = wave + 1e-6 * np.random.default_rng(0).standard_normal(len(wave))  # no log of 0
        padded = np.pad(faint, (0, max(0, 1024 - len(faint))))
        axes.specgram(padded, NFFT=1024, Fs=rate, noverlap=768, vmin=-140, cmap="magma")
        f0 = np.where(tracks[label] > 0, tracks[label], np.nan)
        axes.plot(np.arange(len(f0)) / FRAME_RATE, f0, color="cyan", linewidth=1.5)
        axes.set(ylabel=f"{label} [Hz]", ylim=(0, min(rate / 2, 4000)))
    axes.set_xlabel("time [s]")
    _save(figure, path)


def draw_histograms(path: Path, board: Board) -> None:
    """Draw how long segments of F0 are held and which steps lie between notes, by system."""
    figure = _figure(6.0)
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
    _save(figure, path)


def histograms(board: Board, name: str) -> dict[str, list[float]]:
    """Return a system's histograms as shares, over `LENGTH_EDGES` and `INTERVAL_EDGES`."""
    analyses = board.analyses[name]
    lengths = np.sum([notes.length_histogram(one.notes) for one in analyses], axis=0)
    steps = np.sum([notes.interval_histogram(one.notes) for one in analyses], axis=0)
    return {
        "lengths": (lengths / max(float(lengths.sum()), 1.0)).tolist(),
        "intervals": (steps / max(float(steps.sum()), 1.0)).tolist(),
    }


def read_journal(path: Path) -> list[dict[str, float | str]]:
    """Read the engine's `metrics.jsonl`; empty where training left none.

    A last line without its end was cut by a kill and is left out.
    """
    if not path.is_file():
        return []
    lines = path.read_text("utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def draw_losses(path: Path, journal: Sequence[Mapping[str, float | str]]) -> None:
    """Draw every loss term over the steps, a panel per group; held-out values dashed."""
    skipped = ("step", "split")
    terms = sorted({key for line in journal for key in line if key not in skipped and "/" in key})
    dull = ("learning_rate", "grad_norm", "total")
    groups = sorted({term.split("/")[0] for term in terms} - set(dull))
    figure = _figure(3.0 * max(len(groups), 1))
    for place, group in enumerate(groups, 1):
        axes: Axes = figure.add_subplot(len(groups), 1, place)
        for index, term in enumerate(name for name in terms if name.startswith(f"{group}/")):
            for split, style in (("train", "-"), ("dev", "--")):
                points = [
                    (line["step"], line[term])
                    for line in journal
                    if line["split"] == split and term in line
                ]
                if points:
                    label = f"{term.split('/', 1)[1]} ({split})"
                    axes.plot(*zip(*points, strict=True), style, color=f"C{index}", label=label)
        axes.set(ylabel=group, xlabel="step", yscale="symlog")
        axes.legend(fontsize="x-small", ncols=3)
    _save(figure, path)


def _figure(height: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: "Figure", path: Path) -> None:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=90)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    beside.write_bytes(image.getvalue())
    os.replace(beside, path)

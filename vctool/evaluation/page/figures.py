"""Plots of stage 6 that every task has: spectrograms with F0, and loss curves."""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vctool import temporary
from vctool.evaluation.page.journal import read_journal
from vctool.metrics.pitch import FRAME_RATE, at_scoring_rate
from vctool.metrics.spectral import power_frames

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 3
"""Number of utterances whose spectrograms are drawn."""
SPECTROGRAM_FFT = 1024
"""Window of the spectrograms [samples at 16 kHz]: 64 ms resolves the harmonics of low voices."""
LOWEST_HZ, HIGHEST_HZ = 60.0, 8000.0
"""Range of the spectrograms; their axis is logarithmic, so that a semitone can be seen."""
DEPTH_DB = 70.0
"""Levels further than this below a spectrogram's maximum are black [dB]."""


def draw_utterances(
    folder: Path,
    names: Sequence[str],
    waves: Mapping[str, Sequence[np.ndarray]],
    tracks: Mapping[str, Sequence[np.ndarray]],
    rate: int,
) -> list[Path]:
    """Draw the spectrograms of the first utterances below a folder and return their paths.

    Args:
        folder: created if it does not exist.
        names: of the utterances.
        waves: for every label, the utterances' waves (T,), one spectrogram above the other.
        tracks: for every label, their F0 (F,) [Hz].
        rate: of the waves [Hz].
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(min(SHOWN, len(names))):
        path = folder / f"{names[index]}.png"
        shown = {label: own[index] for label, own in waves.items()}
        drawn = {label: own[index] for label, own in tracks.items()}
        draw_spectrograms(path, shown, drawn, rate, names[index])
        paths.append(path)
    return paths


def draw_journal(exp: Path) -> list[Path]:
    """Draw an experiment's loss curves; returns no path if training left no metrics.jsonl."""
    journal = read_journal(exp / "log" / "metrics.jsonl")
    if not journal:
        return []
    path = exp / "plots" / "losses.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_losses(path, journal)
    return [path]


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
    figure = new_figure(3.2 * len(waves))
    figure.suptitle(title)
    for place, (label, wave) in enumerate(waves.items(), 1):
        axes: Axes = figure.add_subplot(len(waves), 1, place)
        power = power_frames(at_scoring_rate(wave, rate), SPECTROGRAM_FFT)
        level = 10.0 * np.log10(np.maximum(power, 1e-12))
        times = np.arange(len(level)) / FRAME_RATE
        bins = np.linspace(0.0, HIGHEST_HZ, level.shape[1])
        shown = bins >= LOWEST_HZ
        picture = axes.pcolormesh(
            times,
            bins[shown],
            level.T[shown],
            shading="nearest",
            cmap="magma",
            vmin=level.max() - DEPTH_DB,
            vmax=level.max(),
            rasterized=True,
        )
        f0 = np.where(tracks[label] > 0, tracks[label], np.nan)
        axes.plot(np.arange(len(f0)) / FRAME_RATE, f0, color="cyan", linewidth=1.5, label="F0")
        axes.set_yscale("log")
        axes.set(ylabel=f"{label} [Hz]", ylim=(LOWEST_HZ, min(rate / 2, HIGHEST_HZ)))
        axes.set_yticks([100, 200, 400, 1000, 2000, 4000], minor=False)
        axes.yaxis.set_major_formatter("{x:.0f}")
        axes.yaxis.set_minor_formatter("")
        figure.colorbar(picture, ax=axes, label="power [dB]", pad=0.01)
    figure.axes[0].legend(loc="upper right", fontsize="small")
    axes.set_xlabel("time [s]")
    save(figure, path)


def draw_losses(path: Path, journal: Sequence[Mapping[str, float | str]]) -> None:
    """Draw every loss term over the steps, in panels of related terms; held-out values dashed."""
    panels = _panels(journal)
    figure = new_figure(1.0 + 2.2 * max(len(panels), 1))
    figure.suptitle("loss terms without their weights: training (line), held out (dashed)")
    for place, (title, terms) in enumerate(panels.items(), 1):
        axes: Axes = figure.add_subplot(len(panels), 1, place)
        for index, term in enumerate(terms):
            for split, style, mark in (("train", "-", "o"), ("dev", "--", "s")):
                points = [
                    (line["step"], line[term])
                    for line in journal
                    if line["split"] == split and term in line
                ]
                if points:
                    label = f"{term.split('/', 1)[1]} ({split})"
                    style_of_few = mark if len(points) < 30 else None  # one point makes no line
                    axes.plot(
                        *zip(*points, strict=True),
                        style,
                        color=f"C{index}",
                        label=label,
                        marker=style_of_few,
                        markersize=4,
                    )
        axes.set(ylabel=title)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    if panels:
        axes.set_xlabel("step")
    save(figure, path)


def _panels(journal: Sequence[Mapping[str, float | str]]) -> dict[str, list[str]]:
    """Sort terms into panels: by group, and by their first and last words where terms share them.

    Such terms have the same scale: `cycle_singing` and `cycle_speech` are in dB, `cycle_singing_f0`
    and `cycle_speech_f0` are not.
    """
    dull = ("learning_rate", "grad_norm", "total")
    terms = sorted(
        {key for line in journal for key in line if "/" in key and key.split("/")[0] not in dull}
    )
    found: dict[str, list[str]] = {}
    for term in terms:
        group, name = term.split("/", 1)
        words = name.split("_")
        kind = [words[0], *words[2:]] if len(words) > 1 else []
        found.setdefault(" ".join([group, *kind]), []).append(term)
    return found


def new_figure(height: float) -> "Figure":
    """Create a figure of a height [inches] that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: "Figure", path: Path) -> None:
    """Write a figure as a PNG, atomically."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=90)
    beside = temporary.beside(path)
    beside.write_bytes(image.getvalue())
    os.replace(beside, path)

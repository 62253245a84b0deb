"""RESULTS.md and results.json: what stage 6 found, with everything needed to read it."""

import hashlib
import json
import math
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vctool.config import build
from vctool.data.atomic import write_text
from vctool.metrics import content, distribution, notes, pitch, spectral, words
from vctool.metrics.board import MEASURES, REAL, Board, Scores, markdown
from vctool.metrics.table import Score, cell
from vctool.models import base
from vctool.recipe import Recipe
from vctool.stages.figures import histograms, read_journal

PACKAGES = ("torch", "numpy", "scipy", "librosa", "pyworld", "soxr", "pocketsphinx")
"""Packages whose versions decide the numbers."""
PUBLISHED = {
    "cycle_singing": 1.17,
    "cycle_speech": 1.32,
    "identity_singing": 2.05,
    "identity_speech": 2.72,
}
"""Training-set losses that VocalCycleGAN's authors logged [dB], at 44.1 kHz and 128 mel bins."""
AGAINST = ("copy", "resynthesis", "F0 snap", "drone", "random singing", "model, shuffled", REAL)
"""Systems that the model is compared with, pair by pair."""
SYSTEMS = {
    "copy": "the speech as it is",
    "resynthesis": "the speech through the recipe's features and vocoder, unconverted",
    "F0 snap": "the speech with its F0 held on the nearest of the accompaniment's three strongest "
    "pitch classes (of all semitones without one), WORLD: the formula to beat",
    "drone": "the speech with its F0 on the accompaniment's strongest pitch class throughout: "
    "games the chroma",
    "random singing": "a real recording of other words for each source: games the distributions",
    "model": "the system of this experiment",
    "model, shuffled": "the same, but made under other utterances' accompaniments",
    REAL: "held-out recordings of singing, as they are",
}
"""What every row of the table is."""
FEW_RECORDINGS = 8
"""With fewer recordings of real singing in either half, its intervals mean little."""


def write(
    recipe: Recipe,
    board: Board,
    scores: Scores,
    not_run: Mapping[str, str],
    plots: Sequence[Path],
    data_digest: str,
) -> None:
    """Write both files, results.json first, RESULTS.md last: it marks the stage as complete."""
    losses = held_out_losses(recipe)
    config = recipe.model_dump_json(by_alias=True)
    facts: dict[str, Any] = {
        "recipe": recipe.name,
        "config_hash": hashlib.sha256(config.encode()).hexdigest()[:16],
        "data_hash": data_digest,
        "systems": {name: SYSTEMS[name] for name in board.analyses},
        "seed": recipe.train.seed,
        "environment": environment(),
        "counts": counts(board),
        "cautions": cautions(board),
        "settings": settings(recipe, board),
    }
    values = {
        measure: {name: _plain(score) for name, score in row.items()}
        for measure, row in scores.items()
    }
    result = facts | {
        "measures": values,
        "histograms": {name: histograms(board, name) for name in board.analyses},
        "histogram_edges": {
            "lengths_s": notes.LENGTH_EDGES[:-1].tolist(),
            "intervals_st": notes.INTERVAL_EDGES.tolist(),
        },
        "held_out_losses": losses,
        "not_run": dict(not_run),
        "plots": [str(path.relative_to(recipe.exp)) for path in plots],
    }
    write_text(recipe.exp / "results.json", json.dumps(result, indent=1, allow_nan=False) + "\n")
    text = _page(recipe, scores, facts, losses, not_run, plots)
    write_text(recipe.exp / "RESULTS.md", text)


def _plain(score: Score) -> dict[str, Any]:
    """Turn a score into JSON, which has no NaN."""
    plain: dict[str, Any] = {
        key: value if math.isfinite(value) else None
        for key, value in asdict(score).items()
        if key != "versus"
    }
    plain["versus"] = {
        other: [value if math.isfinite(value) else None for value in triple]
        for other, triple in score.versus.items()
    }
    return plain


def environment() -> dict[str, str]:
    """Name the machine and the versions that the numbers come from."""
    found = {"python": sys.version.split()[0], "machine": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def counts(board: Board) -> dict[str, int]:
    """Say on how much the numbers rest."""
    windows = {
        f"windows of {name}": sum(len(distribution.windows(one)) for one in analyses)
        for name, analyses in board.analyses.items()
    }
    return {
        "sources": len(board.task.sources),
        "real singing, half A (reference)": len(board.task.real_a),
        "real singing, half B": len(board.task.real_b),
        "windows of the reference": board.reference.count,
        **windows,
    }


def cautions(board: Board) -> list[str]:
    """Say where there is too little held out for the numbers to be more than a smoke test."""
    found = []
    fewest = min(len(board.task.real_a), len(board.task.real_b))
    if fewest < FEW_RECORDINGS:
        found.append(
            f"the smaller half of the held-out singing has {fewest} recording(s): the intervals of "
            "real singing, and of every gap closed, are narrower than they should be"
        )
    dimension = distribution.EVERYTHING.stop
    if board.reference.count < 2 * dimension:
        found.append(
            f"the reference of the distances is {board.reference.count} windows of {dimension} "
            "features: its covariance is hardly more than the shrinkage"
        )
    return found


def settings(recipe: Recipe, board: Board) -> dict[str, str]:
    """Spell out how every measure is taken."""
    size = len(board.task.sources)
    return {
        "F0": f"DIO and StoneMask, {pitch.F0_FLOOR:g}-{pitch.F0_CEIL:g} Hz, every 10 ms at 16 kHz, "
        "the same for every system",
        "content kept": f"top-1 of {size} sources (chance {1 / size:.3f}), cepstra "
        f"c1-c{spectral.CEPSTRA} without level, mean and variance normalised, "
        f"{10 * content.STEP} ms; lengthened outputs are warped within {content.BAND:.0%}",
        "distance": "squared Frechet distance, per 1 s window (step 0.5 s): mean and deviation of "
        f"c1-c{spectral.CEPSTRA}, and 6 features of F0; dimension {distribution.EVERYTHING.stop}; "
        "standardised by half A; covariances shrunk by "
        f"{distribution.SHRINKAGE:g} towards the identity",
        "real singing": "every second held-out recording (half B) against the others (half A)",
        "note stability": f"voiced frames in segments of {notes.MIN_SECONDS * 1000:.0f} ms or more "
        f"that stay within {notes.TOLERANCE * 100:.0f} cents of their median",
        "chroma": "energy per pitch class of the accompaniment, 256 ms windows, A4 = 440 Hz",
        "F0 error": "frames voiced in output and truth, aligned by the time maps; octaves count",
        "formulas": "F0 snap and drone are lengthened as the model's outputs are",
        "words": "pocketsphinx chooses among the words of the slot grammar; noise of "
        f"{words.DITHER_DB:g} dB added; by chance {board.task.words_chance:.3f}",
        "note lengths, intervals": "histograms in plots/notes.png and results.json: voiced frames "
        "by the length of their segment (50 ms bins), steps between successive notes of "
        f"{notes.MIN_SECONDS * 1000:.0f} ms or more (1 semitone bins)",
        "95 % intervals": f"percentile bootstrap over utterances, {recipe.evaluate.bootstrap} "
        "resamples, centred on the value; systems share their draws, real singing is drawn apart",
    }


def held_out_losses(recipe: Recipe) -> dict[str, dict[str, float]]:
    """Return the cycle and identity losses of the last validation [dB], and the published ones.

    Published values stand beside ours only where the features are the published ones: log-mel of
    44.1 kHz in 128 bins.
    """
    journal = read_journal(recipe.exp / "log" / "metrics.jsonl")
    held = [line for line in journal if line["split"] == "dev"]
    if not held:
        return {}
    last = held[-1]
    system = base.family(recipe.family)
    kinds = system.features(build(system.Config, recipe.model, f"{recipe.name}: model"))
    sizes = (recipe.features.rate, recipe.features.n_mels)
    comparable = "mel" in kinds and sizes == (44100, 128)
    losses: dict[str, dict[str, float]] = {}
    for term, value in last.items():
        name = term.split("/")[-1]
        if name in PUBLISHED and not term.startswith("total"):
            losses[name] = {"value": float(value), "step": float(last["step"])}
            if comparable:
                losses[name]["published (training set)"] = PUBLISHED[name]
    return losses


def _page(
    recipe: Recipe,
    scores: Scores,
    facts: Mapping[str, Any],
    losses: Mapping[str, Mapping[str, float]],
    not_run: Mapping[str, str],
    plots: Sequence[Path],
) -> str:
    lines = [f"# {recipe.name}: scores on held-out recordings", ""]
    for caution in facts["cautions"]:
        lines += [f"**A smoke test, not a result:** {caution}.", ""]
    lines += [markdown(scores), ""]
    lines += [f"- *{name}*: {what}" for name, what in facts["systems"].items()] + [""]
    lines += [f"- {_legend(name)}" for name in scores]
    lines += ["", "## Gap closed", "", *_gaps(scores)]
    lines += ["", "## The model less each anchor, on the same utterances", "", *_versus(scores)]
    if losses:
        lines += ["", "## Held-out losses", ""]
        lines += _losses(losses)
    if not_run:
        lines += ["", "## Not run", ""]
        lines += [f"- {name}: not run: {reason}" for name, reason in not_run.items()]
    lines += ["", "## Plots", ""]
    lines += [f"![{path.stem}]({path.relative_to(recipe.exp).as_posix()})" for path in plots]
    lines += ["", "## How this was measured", ""]
    lines += [f"- **{name}**: {text}" for name, text in facts["settings"].items()]
    lines += [f"- {name}: {count}" for name, count in facts["counts"].items()]
    lines.append(
        f"- config {facts['config_hash']}, data {facts['data_hash']}, seed {facts['seed']}"
    )
    lines += [f"- {name} {value}" for name, value in facts["environment"].items()]
    return "\n".join(lines) + "\n"


def _losses(losses: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Lay out the held-out losses, beside the published ones where there are such."""
    published = any("published (training set)" in values for values in losses.values())
    lines = [
        "Mean distance of the spectral bands in dB of power, both sides floored at the clip's "
        "maximum less the features' top_db; at the last validation. Never ranked: an unconverted "
        "copy has 0.",
        "",
        "| loss | held out [dB] | step |" + (" published, training set [dB] |" * published),
        "|---" * (4 if published else 3) + "|",
    ]
    for name, values in losses.items():
        cells = [name, f"{values['value']:.3f}", f"{values['step']:.0f}"]
        cells += [f"{values['published (training set)']:g}"] if published else []
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _legend(name: str) -> str:
    measure = MEASURES[name]
    unit = f" [{measure.unit}]" if measure.unit else ""
    wish = {
        "higher": "the higher the better",
        "lower": "the lower the better",
        "real": "the nearer to real singing the better",
    }[measure.better]
    return f"**{measure.title}**{unit}: {measure.meaning}; {wish}"


def _gaps(scores: Scores) -> list[str]:
    """Lay out how much of the way from the copy to real singing every system goes."""
    measured = [m for m, row in scores.items() if any(math.isfinite(s.gap) for s in row.values())]
    names = list(dict.fromkeys(name for m in measured for name in scores[m]))
    shown = [name for name in names if name not in ("copy", REAL)]
    heads = " | ".join(MEASURES[measure].title for measure in measured)
    lines = [
        "`1 - |system - real| / |copy - real|`: 0 for a copy, 1 for real singing; overshoot costs "
        "as much as shortfall. With 95 % intervals; measures on which copy and real singing do not "
        "differ for certain are left out.",
        "",
        f"| system | {heads} |",
        "|---" * (len(measured) + 1) + "|",
    ]
    for name in shown:
        rows = [scores[measure].get(name) for measure in measured]
        cells = [
            _with_interval(s.gap, s.gap_low, s.gap_high, 2) if s is not None else "-" for s in rows
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _versus(scores: Scores) -> list[str]:
    """Lay out the model's paired differences from every anchor."""
    lines = [
        "With 95 % intervals; bold where zero is outside. Real singing is not paired.",
        "",
        f"| measure | {' | '.join(AGAINST)} |",
        "|---" * (len(AGAINST) + 1) + "|",
    ]
    for measure, row in scores.items():
        if "model" not in row:
            continue
        cells = []
        for other in AGAINST:
            value, low, high = row["model"].versus.get(other, (math.nan,) * 3)
            text = _with_interval(value, low, high)
            sure = low > 0 or high < 0
            cells.append(f"**{text}**" if sure else text)
        lines.append(f"| {MEASURES[measure].title} | {' | '.join(cells)} |")
    return lines


def _with_interval(value: float, low: float, high: float, digits: int | None = None) -> str:
    if not math.isfinite(value):
        return "-"
    if digits is not None:
        return f"{value:.{digits}f} ({low:.{digits}f}..{high:.{digits}f})"
    return f"{cell(value)} ({cell(low)}..{cell(high)})"

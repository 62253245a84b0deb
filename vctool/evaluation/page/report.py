"""RESULTS.md and results.json: the scores, with everything needed to interpret them.

`Findings` holds what differs by task (rows, settings, counts, losses); the format is the same for
all.
"""

import hashlib
import json
import math
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vctool.data.atomic import write_text
from vctool.evaluation.page.table import COPY, Layout, Score, Scores, cell, markdown
from vctool.evaluation.page.verdict import of_model, of_rows
from vctool.experiment.plan import flatten
from vctool.experiment.recipe import Recipe
from vctool.markdown import table

PACKAGES = ("torch", "numpy", "scipy", "librosa", "pyworld", "soxr")
"""Packages whose versions affect the numbers, besides those of the metrics."""
MODEL = "model"
"""The row that is compared with the others."""


@dataclass(frozen=True)
class Losses:
    """Losses of the last validation."""

    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By name: `value`, `step`, and `published (training set)` where there is such."""
    unit: str = ""
    """Of all of them."""
    meaning: str = ""
    """What they are, in a sentence."""


@dataclass(frozen=True)
class Findings:
    """Content of a report."""

    folder: Path
    """Where it is written; the plots lie below."""
    name: str
    """Of the experiment, or of what else was scored."""
    scores: Scores
    layout: Layout
    """The columns, and the row of real recordings."""
    real_words: str
    """What that row is called in a sentence."""
    config_hash: str
    data_hash: str
    """Hash of the recordings: only scores with the same one can be compared."""
    seed: int
    settings: Mapping[str, str]
    """How every measure is taken."""
    not_run: Mapping[str, str]
    """Metrics that could not be taken, each with the reason."""
    plots: Sequence[Path]
    systems: Mapping[str, str] = field(default_factory=dict)
    """What every row of the table is."""
    against: Sequence[str] = ()
    """Systems that the model is compared with, pair by pair."""
    pairing: str = ""
    """A sentence on rows that are not paired with the model's; empty if all are."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Amounts of data behind the numbers."""
    cautions: Sequence[str] = ()
    """Warnings where that is too little."""
    losses: Losses = Losses()
    notes: Sequence[str] = ()
    """Further notes for the reader."""
    packages: Sequence[str] = ()
    """Further packages whose versions affect the numbers."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Every setting of the experiment, by its dotted name."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further content of results.json."""
    sections: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Lines that stand below the first table, by their heading."""
    intervals: bool = False
    """Whether a second table shows every value with its interval."""
    baseline: str | None = None
    """If there is no model: the row that every other is compared with."""


def write(found: Findings) -> str:
    """Write both files, results.json first, RESULTS.md last: it marks the stage as complete.

    Returns:
        The text of RESULTS.md.
    """
    facts: dict[str, Any] = {
        "recipe": found.name,
        "config_hash": found.config_hash,
        "data_hash": found.data_hash,
        "systems": dict(found.systems),
        "seed": found.seed,
        "environment": environment(found.packages),
        "counts": dict(found.counts),
        "cautions": list(found.cautions),
        "settings": dict(found.settings),
    }
    values = {
        measure: {name: plain(score) for name, score in row.items()}
        for measure, row in found.scores.items()
    }
    result = facts | {
        "measures": values,
        **({"config": dict(found.config)} if found.config else {}),
        **found.details,
        "held_out_losses": {name: dict(one) for name, one in found.losses.values.items()},
        "not_run": dict(found.not_run),
        "plots": [path.relative_to(found.folder).as_posix() for path in found.plots],
    }
    write_text(found.folder / "results.json", json.dumps(result, indent=1, allow_nan=False) + "\n")
    text = page(found, facts["environment"])
    write_text(found.folder / "RESULTS.md", text)
    return text


def recipe_settings(recipe: Recipe) -> dict[str, object]:
    """Name every setting of a recipe, such as `train.steps`."""
    tree = recipe.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"name"})
    return {name: leaf for key, value in tree.items() for name, leaf in flatten(value, key).items()}


def config_hash(recipe: Recipe) -> str:
    """Hash a resolved recipe: 16 hex digits."""
    return hashlib.sha256(recipe.model_dump_json(by_alias=True).encode()).hexdigest()[:16]


def plain(score: Score, *, versus: bool = True) -> dict[str, Any]:
    """Turn a score into JSON, which has no NaN; the other systems where `versus`."""
    found: dict[str, Any] = {
        key: value if math.isfinite(value) else None
        for key, value in asdict(score).items()
        if key != "versus"
    }
    if versus:
        found["versus"] = {
            other: [value if math.isfinite(value) else None for value in triple]
            for other, triple in score.versus.items()
        }
    return found


def environment(more: Sequence[str] = ()) -> dict[str, str]:
    """Name the machine and the versions that the numbers come from, of `more` packages too."""
    found = {"python": sys.version.split()[0], "machine": platform.platform()}
    for package in (*PACKAGES, *more):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def page(found: Findings, machine: Mapping[str, str]) -> str:
    """Lay RESULTS.md out."""
    scores, measures = found.scores, found.layout.measures
    lines = [f"# {found.name}: scores on held-out recordings", ""]
    if verdict := _verdict(found):
        lines += [verdict, ""]
    for caution in found.cautions:
        lines += [f"**A smoke test, not a result:** {caution}.", ""]
    for note in found.notes:
        lines += [f"{note}.", ""]
    lines += [markdown(scores, measures), ""]
    lines += [f"- *{name}*: {what}" for name, what in found.systems.items()] + [""]
    lines += [f"- {_legend(name, found)}" for name in scores]
    for heading, section in found.sections.items():
        lines += ["", f"## {heading}", "", *section]
    if found.intervals:
        lines += ["", "## Values with 95 % intervals", "", *_intervals(found)]
    if found.baseline is None:
        lines += ["", "## Gap closed", "", *_gaps(found)]
        heading = "## The model less each baseline, on the same utterances"
        lines += ["", heading, "", *_versus(found)]
    else:
        lines += ["", f"## Each less {found.baseline}, on the same recordings", "", *_less(found)]
    if found.losses.values:
        lines += ["", "## Held-out losses", ""]
        lines += _losses(found.losses)
    if found.not_run:
        lines += ["", "## Not run", ""]
        lines += [f"- {name}: not run: {reason}" for name, reason in found.not_run.items()]
    lines += ["", "## Plots", ""]
    lines += [plot_line(found.folder, path) for path in found.plots]
    lines += ["", "## How this was measured", ""]
    lines += [f"- **{name}**: {text}" for name, text in found.settings.items()]
    lines += [f"- {name}: {count}" for name, count in found.counts.items()]
    lines.append(f"- config {found.config_hash}, data {found.data_hash}, seed {found.seed}")
    lines += [f"- {name} {value}" for name, value in machine.items()]
    if found.config:
        lines += ["", "## Config", ""]
        lines += [f"- {name}: {value}" for name, value in found.config.items()]
    return "\n".join(lines) + "\n"


def _verdict(found: Findings) -> str:
    """Say in the first sentences how it went; empty where there is nothing to compare."""
    scores, layout = found.scores, found.layout
    if found.baseline is None:
        return of_model(scores, layout.measures, MODEL, found.systems, found.real_words)
    others = [row for row in found.against if row != layout.real]
    return of_rows(scores, layout.measures, found.baseline, others)


def plot_line(folder: Path, path: Path) -> str:
    """Show an image below a report's folder, whatever is in its name."""
    title = re.sub(r"[\[\]\\]", r"\\\g<0>", path.stem)
    return f"![{title}]({quote(path.relative_to(folder).as_posix())})"


def _losses(losses: Losses) -> list[str]:
    """Format the held-out losses, beside the published ones if there are any."""
    published = any("published (training set)" in values for values in losses.values.values())
    unit = f" [{losses.unit}]" if losses.unit else ""
    heads = ["loss", f"held out{unit}", "step"]
    heads += [f"published, training set{unit}"] if published else []
    rows = []
    for name, values in losses.values.items():
        rows.append([name, f"{values['value']:.3f}", f"{values['step']:.0f}"])
        rows[-1] += [f"{values['published (training set)']:g}"] if published else []
    return [losses.meaning, "", *table(heads, rows)]


def _legend(name: str, found: Findings) -> str:
    measure = found.layout.measures[name]
    unit = f" [{measure.unit}]" if measure.unit else ""
    wish = {
        "higher": "the higher the better",
        "lower": "the lower the better",
        "real": f"the nearer to {found.real_words} the better",
    }[measure.better]
    return f"**{measure.title}**{unit}: {measure.meaning}; {wish}"


def _systems(scores: Scores) -> list[str]:
    return list(dict.fromkeys(name for row in scores.values() for name in row))


def _intervals(found: Findings) -> list[str]:
    """Format every value with its interval, a column per system."""
    names = _systems(found.scores)
    rows = []
    for measure, row in found.scores.items():
        cells = [
            with_interval(row[name].value, row[name].low, row[name].high) if name in row else "-"
            for name in names
        ]
        rows.append([found.layout.measures[measure].title, *cells])
    return table(["measure", *names], rows)


def _gaps(found: Findings) -> list[str]:
    """Format the gap closed from the copy to the real recordings, by system."""
    scores, real = found.scores, found.real_words
    measured = [m for m, row in scores.items() if any(math.isfinite(s.gap) for s in row.values())]
    names = list(dict.fromkeys(name for m in measured for name in scores[m]))
    shown = [name for name in names if name not in (COPY, found.layout.real)]
    rows = []
    for name in shown:
        row = [scores[measure].get(name) for measure in measured]
        cells = [
            with_interval(s.gap, s.gap_low, s.gap_high, 2) if s is not None else "-" for s in row
        ]
        rows.append([name, *cells])
    return [
        f"`1 - |system - real| / |copy - real|`: 0 for a copy, 1 for {real}; overshoot costs "
        f"as much as shortfall. With 95 % intervals; measures on which copy and {real} do not "
        "differ for certain are left out.",
        "",
        *table(["system", *[found.layout.measures[measure].title for measure in measured]], rows),
    ]


def _versus(found: Findings) -> list[str]:
    """Format the model's paired differences from every other row."""
    rows = [
        [
            found.layout.measures[measure].title,
            *[_difference(row[MODEL], other) for other in found.against],
        ]
        for measure, row in found.scores.items()
        if MODEL in row
    ]
    return [
        f"With 95 % intervals; bold where zero is outside. {found.pairing}".rstrip(),
        "",
        *table(["measure", *found.against], rows),
    ]


def _less(found: Findings) -> list[str]:
    """Format the paired differences of every row from the baseline's."""
    assert found.baseline is not None
    rows = []
    for measure, row in found.scores.items():
        if found.baseline in row:
            cells = [
                _difference(row[name], found.baseline) if name in row else "-"
                for name in found.against
            ]
            rows.append([found.layout.measures[measure].title, *cells])
    return [
        "With 95 % intervals; bold where zero is outside.",
        "",
        *table(["measure", *found.against], rows),
    ]


def _difference(score: Score, other: str) -> str:
    """Format a paired difference with its interval, bold if that excludes zero."""
    value, low, high = score.versus.get(other, (math.nan,) * 3)
    text = with_interval(value, low, high)
    return f"**{text}**" if low > 0 or high < 0 else text


def with_interval(value: float, low: float, high: float, digits: int | None = None) -> str:
    """Format a value with its interval; `-` if there is none."""
    if not math.isfinite(value):
        return "-"
    if digits is not None:
        return f"{value:.{digits}f} ({low:.{digits}f}..{high:.{digits}f})"
    return f"{cell(value)} ({cell(low)}..{cell(high)})"

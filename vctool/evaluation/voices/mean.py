"""All directions of an experiment in one report: their mean, and each beside its baselines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from vctool.evaluation.outputs import digest
from vctool.evaluation.page.figures import draw_journal
from vctool.evaluation.page.html import Exhibit
from vctool.evaluation.page.journal import held_out_losses
from vctool.evaluation.page.report import (
    MODEL,
    Findings,
    config_hash,
    plain,
    recipe_settings,
    with_interval,
)
from vctool.evaluation.page.table import COPY, Layout, Score, Scores, cell, tabulate_mean
from vctool.evaluation.scoring import Scored, publish
from vctool.evaluation.voices.baselines import HALF, MEAN, MEAN_VARIANCE, PITCH, REAL
from vctool.evaluation.voices.neighbours import FAMILY
from vctool.evaluation.voices.report import VoiceScoring
from vctool.experiment.directions import Direction
from vctool.experiment.recipe import Recipe
from vctool.markdown import table
from vctool.metrics.bootstrap import Pooled

FORMULAS = (PITCH, MEAN_VARIANCE, MEAN, HALF)
"""Baselines of which the best stands beside the model in the tables of directions."""
HEARD = (COPY, MEAN_VARIANCE, HALF, FAMILY, MODEL, REAL)
"""Rows that can be listened to in the overview; a direction's own page has all of its rows."""


class Outcome(NamedTuple):
    """What the overview keeps of one direction."""

    way: Direction
    scores: Scores
    pooled: Mapping[str, Mapping[str, Pooled]]
    """By system and measure."""
    layout: Layout
    names: Sequence[str]
    """The N utterances."""
    values: Mapping[str, Mapping[str, np.ndarray]]
    """(N,) by measure and system."""
    data_hash: str
    counts: Mapping[str, int]
    rate: int
    """Of all waves [Hz]."""
    systems: Mapping[str, str]
    """What every row is."""
    settings: Mapping[str, str]
    not_run: Mapping[str, str]
    cautions: Sequence[str]
    packages: Sequence[str]
    exhibit: Exhibit
    """The first utterance."""


@dataclass(frozen=True)
class Line:
    """One direction in a table."""

    title: str
    scores: Scores

    def score(self, measure: str, system: str) -> Score | None:
        """Return a score, or None where there is none."""
        return self.scores.get(measure, {}).get(system)


def outcome(way: Direction, job: VoiceScoring, scored: Scored) -> Outcome:
    """Keep what the overview needs; the analyses, which are large, can go."""
    board, found = scored.board, scored.findings
    first = {row: scored.heard[row][0] for row in HEARD if row in scored.heard}
    drawn = {plot.stem: plot for plot in found.plots}
    return Outcome(
        way,
        found.scores,
        dict(board.pooled),
        found.layout,
        job.utterances,
        board.per_utterance(),
        job.data_hash,
        {
            "sources": len(job.task.sources),
            "recordings of targets, held out": len(job.task.target_recordings),
        },
        job.task.rate,
        found.systems,
        found.settings,
        dict(found.not_run),
        found.cautions,
        found.packages,
        Exhibit(f"{way.title}: {job.utterances[0]}", first, drawn.get(job.utterances[0])),
    )


def write_mean(recipe: Recipe, found: Sequence[Outcome]) -> Findings:
    """Write the overview's RESULTS.md, results.json, utterances.tsv and report.html."""
    layout = _layout(found)
    scores = tabulate_mean(
        [one.pooled for one in found], layout, recipe.evaluate.bootstrap, recipe.train.seed
    )
    systems = {name: what for name, what in found[0].systems.items() if _in_all(name, found)}
    parallel = bool(layout.paired)
    facts = Findings(
        folder=recipe.exp,
        name=recipe.name,
        scores=scores,
        layout=layout,
        real_words=VoiceScoring.real_words,
        pairing="" if parallel else "The target's recordings are of other sentences: not paired.",
        systems=systems,
        against=[name for name in systems if name != MODEL],
        config_hash=config_hash(recipe),
        data_hash=digest([one.data_hash for one in found], ()),
        seed=recipe.train.seed,
        counts={"directions": len(found)} | _summed(found),
        cautions=list(dict.fromkeys(text for one in found for text in one.cautions)),
        notes=_notes(found, scores),
        packages=found[0].packages,
        config=recipe_settings(recipe),
        details={"directions": {one.way.name: _plain(one) for one in found}},
        settings=_settings(found),
        losses=held_out_losses(recipe.exp),
        not_run={name: why for one in found for name, why in one.not_run.items()},
        plots=draw_journal(recipe.exp),
        sections=sections(found, scores),
        intervals=True,
    )
    names = [f"{one.way.name}/{name}" for one in found for name in one.names]
    publish(facts, [one.exhibit for one in found], found[0].rate, names, _joined(found))
    return facts


def sections(found: Sequence[Outcome], mean: Scores) -> dict[str, list[str]]:
    """Lay out the tables with a line for every direction."""
    lines = [Line(one.way.title, one.scores) for one in found] + [Line("mean", mean)]
    best = _best(mean)
    columns = found[0].layout.measures
    shown = [measure for measure in mean if columns[measure].overview]
    tables = {}
    if "speaker_margin" in mean:
        tables["Whose voice, in every direction"] = [
            "Mean cosines to the training centroids of target and source, and the paired "
            f"difference with its 95 % interval, bold where zero is outside; beside the copy's and "
            f"that of {best}.",
            "",
            *_table(
                {
                    "to target": lambda line: _value(line, "speaker_target", MODEL),
                    "to source": lambda line: _value(line, "speaker_source", MODEL),
                    "target less source": lambda line: _sure(line.score("speaker_margin", MODEL)),
                    "the same of the copy": lambda line: _value(line, "speaker_margin", COPY),
                    f"of {best}": lambda line: _value(line, "speaker_margin", best),
                    "model less copy": lambda line: _less(line, "speaker_margin", COPY),
                },
                lines,
            ),
        ]
    tables["The model, the best formula and the copy"] = [
        f"Each cell: model / {best} / copy. The best formula is that of the lowest mean MCD.",
        "",
        *_table({columns[m].title: _three(m, best) for m in shown}, lines),
    ]
    tables["The model less the best formula"] = [
        f"Less {best}, on the same utterances, with 95 % intervals; bold where zero is outside.",
        "",
        *_table({columns[m].title: _versus(m, best) for m in shown}, lines),
    ]
    return tables


Write = Callable[[Line], str]


def _table(columns: Mapping[str, Write], lines: Sequence[Line]) -> list[str]:
    rows = [[line.title, *[write(line) for write in columns.values()]] for line in lines]
    return table(["direction", *columns], rows)


def _three(measure: str, best: str) -> Write:
    return lambda line: " / ".join(_value(line, measure, row) for row in (MODEL, best, COPY))


def _versus(measure: str, other: str) -> Write:
    return lambda line: _less(line, measure, other)


def _value(line: Line, measure: str, system: str) -> str:
    score = line.score(measure, system)
    return "-" if score is None else cell(score.value)


def _sure(score: Score | None) -> str:
    return "-" if score is None else _bold(score.value, score.low, score.high)


def _less(line: Line, measure: str, other: str) -> str:
    score = line.score(measure, MODEL)
    apart = None if score is None else score.versus.get(other)
    return "-" if apart is None else _bold(*apart)


def _bold(value: float, low: float, high: float) -> str:
    text = with_interval(value, low, high)
    return f"**{text}**" if low > 0 or high < 0 else text


def _best(mean: Scores) -> str:
    """Name the formula of the lowest MCD; the plain one where sentences are not shared."""
    row = mean.get("mcd", {})
    known = [name for name in FORMULAS if name in row]
    return min(known, key=lambda name: row[name].value, default=MEAN_VARIANCE)


def _notes(found: Sequence[Outcome], mean: Scores) -> list[str]:
    told = [
        f"The first table is the mean over {len(found)} directions, each with a report of its own "
        "in the folder of its name; intervals resample sentences, the same ones in all directions "
        "of as many utterances"
    ]
    rows = [one.scores.get("speaker_margin", {}).get(MODEL) for one in found]
    sure = sum(score is not None and score.low > 0 for score in rows)
    if "speaker_margin" in mean:
        told.append(
            f"In {sure} of {len(found)} directions the outputs are nearer to the target's training "
            "centroid than to the source's, with zero outside the paired interval"
        )
    return told


def _layout(found: Sequence[Outcome]) -> Layout:
    """Lay the mean out; it is paired where all directions are."""
    paired = frozenset.intersection(*(one.layout.paired for one in found))
    return Layout(found[0].layout.measures, REAL, paired)


def _in_all(name: str, found: Sequence[Outcome]) -> bool:
    return all(name in one.systems for one in found)


def _summed(found: Sequence[Outcome]) -> dict[str, int]:
    return {name: sum(one.counts[name] for one in found) for name in found[0].counts}


def _settings(found: Sequence[Outcome]) -> dict[str, str]:
    """Return what all directions agree on; what they do not stands in their own reports."""
    first, *others = (one.settings for one in found)
    return {name: text for name, text in first.items() if all(o.get(name) == text for o in others)}


def _joined(found: Sequence[Outcome]) -> dict[str, dict[str, np.ndarray]]:
    """Join the values of all directions' utterances; NaN where a direction has none."""
    measures = dict.fromkeys(measure for one in found for measure in one.values)
    joined: dict[str, dict[str, np.ndarray]] = {}
    for measure in measures:
        systems = dict.fromkeys(name for one in found for name in one.values.get(measure, {}))
        joined[measure] = {
            name: np.concatenate(
                [
                    one.values.get(measure, {}).get(name, np.full(len(one.names), np.nan))
                    for one in found
                ]
            )
            for name in systems
        }
    return joined


def _plain(one: Outcome) -> dict[str, Any]:
    """Turn a direction into JSON: values and intervals; the rest is in its own results.json."""
    return {
        "data_hash": one.data_hash,
        "measures": {
            measure: {name: plain(score, versus=False) for name, score in row.items()}
            for measure, row in one.scores.items()
        },
    }

"""From converted recordings to the whole report of a voice conversion.

    exp/<name>/RESULTS.md  results.json  utterances.tsv  report.html  plots/

Stage 6 and `vctool evaluate` on folders both end here.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vctool.cache import Cache
from vctool.evaluation import outputs as converted
from vctool.evaluation.page import figures, html, report, utterances
from vctool.evaluation.page.report import MODEL, Findings, Losses
from vctool.evaluation.page.table import COPY, Scores
from vctool.evaluation.parallel import spread
from vctool.evaluation.voices import baselines
from vctool.evaluation.voices.baselines import REAL, Formula
from vctool.evaluation.voices.board import Analyse, VoiceBoard, VoiceTask
from vctool.metrics.base import Each, ask_anew

logger = logging.getLogger(__name__)

ROWS = {COPY: "source", MODEL: "converted", REAL: "target"}
"""Systems in a spectrogram plot, and what they are called there."""
JUDGES = ("resemblyzer", "speechmos", "onnxruntime")
"""Packages of the networks that judge voices."""
FEW_RECORDINGS = 8
"""With fewer utterances or recordings of a speaker, intervals and references mean little."""


@dataclass(frozen=True)
class VoiceJob:
    """What is scored, and what is said of it."""

    folder: Path
    """Gets every file."""
    name: str
    """Of the experiment, or of what else is scored."""
    utterances: Sequence[str]
    """Names of the N sources."""
    task: VoiceTask
    outputs: Sequence[np.ndarray]
    """(N,) waves (T,) of the system."""
    model: str
    """What the system is, in a few words."""
    config_hash: str
    data_hash: str
    seed: int = 0
    resamples: int = 1000
    """Of every interval."""
    formula: Formula | None = None
    """The anchors; fitted on the task's training recordings where not given."""
    others: Mapping[str, Sequence[np.ndarray]] = field(default_factory=dict)
    """Waves (N,) of systems that stand in the table besides."""
    told: Mapping[str, str] = field(default_factory=dict)
    """What those are, in a few words each."""
    cautions: Sequence[str] = ()
    """Why it is less than a result."""
    notes: Sequence[str] = ()
    """What else a reader must know."""
    losses: Losses = field(default_factory=Losses)
    config: Mapping[str, Any] = field(default_factory=dict)
    """Every setting of the experiment, by its dotted name."""
    cache: Path | None = None
    """File that keeps what judges said of recordings; they are asked anew if None."""


class Scored(NamedTuple):
    """What was found."""

    scores: Scores
    """All values, for whoever prints the table."""
    board: VoiceBoard
    heard: Mapping[str, Sequence[np.ndarray]]
    """Every row's waves (T,)."""
    plots: Sequence[Path]
    """Spectrograms of some utterances, called like them, and loss curves."""
    cautions: Sequence[str]
    """Why it is less than a result."""


def score(
    job: VoiceJob, nj: int = 1, analyse: Analyse | None = None, each: Each | None = None
) -> Scored:
    """Measure the system and its anchors, and write the report.

    Args:
        job: what is scored.
        nj: processes; the scores do not depend on it.
        analyse: analyses waves, or remembers what it found.
        each: makes the anchors, on processes of its own instead of new ones.
    """
    task = job.task
    each = each or spread(nj)
    formula = job.formula or baselines.fit(
        task.source_training, task.target_training, task.rate, each
    )
    systems = baselines.build(task.sources, task.targets, task.rate, formula, each)
    systems |= {name: list(waves) for name, waves in job.others.items()}
    systems[MODEL] = list(job.outputs)
    recall = ask_anew if job.cache is None else Cache(job.cache).of_waves
    board = VoiceBoard(task, each, recall, analyse)
    for name, waves in converted.progress(systems.items(), len(systems)):
        board.add(name, waves)
    scores = board.scores(job.resamples, job.seed)
    heard = systems if task.targets is None else systems | {REAL: list(task.targets)}
    plots = _draw(job, board, heard)
    utterances.write(job.folder / utterances.NAME, job.utterances, board.per_utterance())
    found = _findings(job, board, scores, plots)
    text = report.write(found)
    shown = html.exhibits(job.utterances, heard, plots)
    html.write(job.folder, text, shown, task.rate, found.systems)
    logger.info("%s and %s written", job.folder / "RESULTS.md", html.NAME)
    return Scored(scores, board, heard, plots, found.cautions)


def _draw(
    job: VoiceJob, board: VoiceBoard, heard: Mapping[str, Sequence[np.ndarray]]
) -> list[Path]:
    rows = {label: name for name, label in ROWS.items() if name in heard}
    waves = {label: heard[name] for label, name in rows.items()}
    tracks = {label: [one.f0 for one in board.analyses[name]] for label, name in rows.items()}
    folder = job.folder / "plots"
    paths = figures.draw_utterances(folder, job.utterances, waves, tracks, job.task.rate)
    return [*paths, *figures.draw_journal(job.folder)]


def _findings(job: VoiceJob, board: VoiceBoard, scores: Scores, plots: Sequence[Path]) -> Findings:
    task = job.task
    known = baselines.SYSTEMS | {MODEL: job.model}
    known |= {name: job.told.get(name, "given by the caller") for name in job.others}
    rows = {name: known[name] for name in board.analyses}
    parallel = task.targets is not None
    return Findings(
        folder=job.folder,
        name=job.name,
        scores=scores,
        layout=board.layout,
        real_words="the target",
        pairing="" if parallel else "The target's recordings are of other sentences: not paired.",
        systems=rows,
        against=[name for name in rows if name != MODEL],
        config_hash=job.config_hash,
        data_hash=job.data_hash,
        seed=job.seed,
        counts={
            "sources": len(task.sources),
            "recordings of the target, held out": len(task.target_recordings),
            "recordings that the target's voice is known from": len(task.target_training),
            "recordings that the source's voice is known from": len(task.source_training),
        },
        cautions=[*job.cautions, *_cautions(task, scores)],
        notes=job.notes,
        packages=JUDGES,
        config=job.config,
        settings=settings(board, job.resamples),
        losses=job.losses,
        not_run=board.not_run,
        plots=plots,
        intervals=True,
    )


def settings(board: VoiceBoard, resamples: int) -> dict[str, str]:
    """Spell out how every measure is taken, and the anchors and intervals."""
    return board.settings() | {
        "references": f"distributions are compared with {len(board.task.target_training)} "
        "recordings that the target's voice is known from",
        "anchors": "fitted on the recordings that speakers' voices are known from; "
        f"mel-cepstra of order {baselines.FEATURES.envelope_dim - 1}, alpha "
        f"{baselines.FEATURES.mcep_alpha:g}, of frames within {baselines.GATE_DB:g} dB "
        "of the loudest; c0 is not changed",
        "95 % intervals": f"percentile bootstrap over utterances, {resamples} resamples, "
        "centred on the value; systems share their draws"
        + ("" if board.task.targets is not None else ", the target is drawn apart"),
    }


def _cautions(task: VoiceTask, scores: Scores) -> list[str]:
    """Say where there is too little for the numbers to be more than a smoke test."""
    found = []
    if len(task.sources) < FEW_RECORDINGS:
        found.append(
            f"{len(task.sources)} utterances are scored: the intervals are narrower than they "
            "should be"
        )
    fewest = min(len(task.target_training), len(task.source_training))
    if fewest < FEW_RECORDINGS:
        found.append(f"a speaker's voice is known from {fewest} recording(s) alone")
    chance = 1.0 / len(task.sources)
    if task.targets is not None and scores["content"][REAL].value < 2.0 * chance:
        found.append(
            "the target's recordings hardly find the sources whose sentences they should hold "
            f"(content kept {scores['content'][REAL].value:.2f}, by chance {chance:.2f}): are they "
            "other sentences?"
        )
    return found

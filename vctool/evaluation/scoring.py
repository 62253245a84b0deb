"""The pipeline of every scoring task: measure all systems, draw, and write the report.

    FOLDER/RESULTS.md       tables: values, gaps closed, paired differences; settings
           results.json     the same, for programs
           utterances.tsv   every value of every utterance, for `vctool compare`
           report.html      RESULTS.md with players, in one file
           plots/           spectrograms with F0, loss curves

A task defines what to measure and how to describe it (`Scoring`); `score` does the rest.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from vctool import audio
from vctool.cache import Cache
from vctool.evaluation.board import Board
from vctool.evaluation.page import figures, html, report, utterances
from vctool.evaluation.page.html import Exhibit
from vctool.evaluation.page.report import Findings, Losses
from vctool.evaluation.page.table import Scores
from vctool.metrics.base import Each, Recall, ask_anew
from vctool.progress import busy, progress

logger = logging.getLogger(__name__)

FEW_RECORDINGS = 8
"""With fewer utterances or recordings of a speaker, intervals and references mean little."""


class Outputs(NamedTuple):
    """Outputs of one system; see `Board.add`."""

    name: str
    """Its row."""
    waves: Sequence[np.ndarray]
    rate: int | None = None
    seconds: np.ndarray | None = None
    time_maps: Sequence[np.ndarray] | None = None


@dataclass(frozen=True, kw_only=True)
class Scoring(ABC):
    """What is scored, and how the report describes it."""

    folder: Path
    """Gets every file."""
    name: str
    """Of the experiment, or of what else is scored."""
    utterances: Sequence[str]
    """Names of the N utterances."""
    config_hash: str
    data_hash: str
    """Hash of the recordings: only scores with the same one can be compared."""
    seed: int = 0
    resamples: int = 1000
    """Of every interval."""
    cautions: Sequence[str] = ()
    """Warnings: why it is less than a result."""
    notes: Sequence[str] = ()
    """Further notes for the reader."""
    losses: Losses = field(default_factory=Losses)
    config: Mapping[str, Any] = field(default_factory=dict)
    """Every setting of the experiment, by its dotted name."""
    cache: Path | None = None
    """File of the cached outputs of evaluation networks."""

    real_words: ClassVar[str]
    """What the row of real recordings is called in a sentence."""
    real_leads: ClassVar[bool] = False
    """Whether players and plots of the real recordings stand above those of the systems."""

    @abstractmethod
    def board(self, each: Each) -> Board[Any]:
        """Open the board, with the real recordings measured."""

    @abstractmethod
    def systems(self, each: Each) -> Iterator[Outputs]:
        """Yield the rows to measure: baselines and the system that is scored."""

    @property
    @abstractmethod
    def count(self) -> int | None:
        """Number of systems; None if that is not known before they are made."""

    @property
    def real(self) -> Sequence[np.ndarray] | None:
        """(N,) the real recordings of the utterances (T,), where there are any, to be heard."""
        return None

    @property
    def drawn(self) -> Mapping[str, str] | None:
        """Rows in the spectrogram plots and what they are called there; None: all."""
        return None

    def figures(self, board: Board[Any]) -> list[Path]:
        """Draw further plots below `folder`."""
        return []

    def remarks(self, board: Board[Any]) -> dict[str, str]:
        """Describe settings other than those of the metrics."""
        return {}

    def settings(self, board: Board[Any]) -> dict[str, str]:
        """Describe how every measure is taken, what the baselines use, and the intervals."""
        apart = "" if board.rows[board.real_row].paired else f", {self.real_words} is drawn apart"
        intervals = (
            f"percentile bootstrap over utterances, {self.resamples} resamples, centred on the "
            f"value; systems share their draws{apart}"
        )
        return board.settings() | self.remarks(board) | {"95 % intervals": intervals}

    def findings(self, board: Board[Any], scores: Scores, plots: Sequence[Path]) -> Findings:
        """Gather what the report says; tasks add what is theirs."""
        return Findings(
            folder=self.folder,
            name=self.name,
            scores=scores,
            layout=board.layout,
            real_words=self.real_words,
            config_hash=self.config_hash,
            data_hash=self.data_hash,
            seed=self.seed,
            cautions=self.cautions,
            notes=self.notes,
            settings=self.settings(board),
            not_run=board.not_run,
            plots=plots,
            losses=self.losses,
            packages=board.packages,
            config=self.config,
        )

    @property
    def recall(self) -> Recall:
        """Runs slow judges, or returns their cached outputs."""
        return ask_anew if self.cache is None else Cache(self.cache).of_waves


class Scored(NamedTuple):
    """What was found."""

    findings: Findings
    board: Board[Any]
    heard: Mapping[str, Sequence[np.ndarray]]
    """Waves (T,) of the first utterances by row, at the board's rate."""


def score(job: Scoring, each: Each) -> Scored:
    """Measure all systems, and write the report.

    Args:
        job: what is scored.
        each: applies functions to waves, on processes where it has any; no value depends on it.
    """
    with busy(f"{job.folder}: analysing the recordings"):
        board = job.board(each)
    rate = board.row.outputs.rate
    real = {} if job.real is None else {board.real_row: job.real[: figures.SHOWN]}
    heard: dict[str, Sequence[np.ndarray]] = dict(real) if job.real_leads else {}
    for one in progress(job.systems(each), "evaluate", job.count, "system"):
        board.add(one.name, one.waves, rate=one.rate, seconds=one.seconds, time_maps=one.time_maps)
        first = one.waves[: figures.SHOWN]
        heard[one.name] = [audio.resample(wave, one.rate or rate, rate) for wave in first]
    heard |= real
    with busy(f"{job.folder}: comparing the systems"):
        scores = board.scores(job.resamples, job.seed)
    with busy(f"{job.folder}: drawing"):
        plots = _draw(job, board, heard)
    found = job.findings(board, scores, plots)
    shown = html.exhibits(job.utterances[: figures.SHOWN], heard, found.plots)
    publish(found, shown, rate, job.utterances, board.per_utterance())
    return Scored(found, board, heard)


def publish(
    found: Findings,
    exhibits: Sequence[Exhibit],
    rate: int,
    names: Sequence[str],
    values: Mapping[str, Mapping[str, np.ndarray]],
) -> None:
    """Write utterances.tsv, results.json, RESULTS.md and report.html.

    Args:
        found: what they say.
        exhibits: utterances with players.
        rate: of their waves [Hz].
        names: the N utterances.
        values: (N,) by measure and system.
    """
    utterances.write(found.folder / utterances.NAME, names, values)
    text = report.write(found)
    html.write(found.folder, text, exhibits, rate, found.systems)
    logger.info("%s and %s written", found.folder / "RESULTS.md", html.NAME)


def _draw(job: Scoring, board: Board[Any], heard: Mapping[str, Sequence[np.ndarray]]) -> list[Path]:
    """Draw all plots of a report."""
    labels = {name: name for name in heard} if job.drawn is None else job.drawn
    rows = {label: name for name, label in labels.items() if name in heard}
    waves = {label: heard[name] for label, name in rows.items()}
    tracks = {
        label: [one.f0 for one in board.rows[name].outputs.analyses[: figures.SHOWN]]
        for label, name in rows.items()
    }
    rate = board.row.outputs.rate
    paths = figures.draw_utterances(job.folder / "plots", job.utterances, waves, tracks, rate)
    return [*paths, *job.figures(board), *figures.draw_journal(job.folder)]

"""Content of the report on voice conversion: rows, settings, counts and warnings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from vctool.evaluation.board import JUDGED, Board
from vctool.evaluation.outputs import digest, read_outputs
from vctool.evaluation.page.report import MODEL, Findings, config_hash
from vctool.evaluation.page.table import COPY, Scores
from vctool.evaluation.scoring import FEW_RECORDINGS, Outputs, Scoring
from vctool.evaluation.voices import neighbours
from vctool.evaluation.voices.baselines import (
    FEATURES,
    GATE_DB,
    REAL,
    SYSTEMS,
    build,
    fit,
)
from vctool.evaluation.voices.board import Analyse, VoiceBoard, VoiceTask
from vctool.evaluation.voices.selection import HeldOutVoices, load_task
from vctool.evaluation.voices.shared import Shared
from vctool.experiment.directions import Direction
from vctool.experiment.recipe import Recipe
from vctool.metrics.base import Each
from vctool.models.base import family


@dataclass(frozen=True, kw_only=True)
class VoiceScoring(Scoring):
    """Recordings of one voice that were turned into another's."""

    task: VoiceTask
    outputs: Sequence[np.ndarray]
    """(N,) waves (T,) of the system."""
    model: str
    """What the system is, in a few words."""
    baselines: Callable[[], dict[str, list[np.ndarray]]] | None = None
    """Makes their waves; fitted on the task's training recordings where not given."""
    untrained: Callable[[], list[np.ndarray]] | None = None
    """Makes the waves of the row `knn_vc`, where it stands in the table."""
    others: Mapping[str, Sequence[np.ndarray]] = field(default_factory=dict)
    """Waves (N,) of systems that stand in the table besides."""
    told: Mapping[str, str] = field(default_factory=dict)
    """What those are, in a few words each."""
    analyse: Analyse | None = None
    """Analyses waves, or remembers what it found."""

    real_words = "the target"
    drawn = {COPY: "source", MODEL: "converted", REAL: "target"}

    @property
    def real(self) -> Sequence[np.ndarray] | None:
        """The target's recordings of the sentences."""
        return self.task.targets

    @property
    def count(self) -> int:
        """Baselines, other systems and the model."""
        fewer = 1 if self.task.targets is not None else 2
        row = self.untrained is not None
        return len(SYSTEMS) - fewer + row + len(self.others) + 1

    def board(self, each: Each) -> VoiceBoard:
        """Open the board, with the target's recordings measured."""
        return VoiceBoard(self.task, each, self.recall, self.analyse)

    def systems(self, each: Each) -> Iterator[Outputs]:
        """Make the baselines; the other systems and the model are there."""
        task = self.task
        if self.baselines is not None:
            made = self.baselines()
        else:
            formula = fit(task.source_training, task.target_training, task.rate, each)
            made = build(task.sources, task.targets, task.rate, formula, each)
        nearest = {} if self.untrained is None else {neighbours.FAMILY: self.untrained()}
        for name, waves in [*(made | nearest).items(), *self.others.items(), (MODEL, self.outputs)]:
            yield Outputs(name, waves)

    def remarks(self, board: Board) -> dict[str, str]:
        """Say what distributions are compared with, and how the baselines were fitted."""
        return {
            "references": f"distributions are compared with {len(self.task.target_training)} "
            "recordings that the target's voice is known from",
            "anchors": "fitted on the recordings that speakers' voices are known from; "
            f"mel-cepstra of order {FEATURES.envelope_dim - 1}, alpha {FEATURES.mcep_alpha:g}, of "
            f"frames within {GATE_DB:g} dB of the loudest; c0 is not changed",
        }

    def findings(self, board: Board, scores: Scores, plots: Sequence[Path]) -> Findings:
        """Gather what the report says."""
        task = self.task
        known = SYSTEMS | {MODEL: self.model}
        if self.untrained is not None:
            known[neighbours.FAMILY] = neighbours.TOLD
        known |= {name: self.told.get(name, "given by the caller") for name in self.others}
        rows = {name: known[name] for name in board.rows}
        parallel = task.targets is not None
        return replace(
            super().findings(board, scores, plots),
            pairing=""
            if parallel
            else "The target's recordings are of other sentences: not paired.",
            systems=rows,
            against=[name for name in rows if name != MODEL],
            counts={
                "sources": len(task.sources),
                "recordings of the target, held out": len(task.target_recordings),
                "recordings that the target's voice is known from": len(task.target_training),
                "recordings that the source's voice is known from": len(task.source_training),
            },
            cautions=[*self.cautions, *_cautions(task, scores)],
            intervals=True,
        )


def of_direction(
    recipe: Recipe, way: Direction, held: HeldOutVoices, common: Shared
) -> VoiceScoring:
    """Say what is scored in one direction of an experiment.

    Raises:
        DataError: outputs are missing.
    """
    task = load_task(held, recipe.features.rate, common.load)
    names = [one.id for one in held.sources]
    untrained = family(recipe.family).untrained  # it would stand beside itself
    return VoiceScoring(
        folder=recipe.exp / way.scores,
        name=f"{recipe.name}, {way.title}" if way.name else recipe.name,
        utterances=names,
        task=task,
        outputs=read_outputs(recipe.exp / way.sounds, names, task.rate),
        model="the system of this experiment",
        config_hash=config_hash(recipe),
        data_hash=digest(held.ids, [*task.sources, *task.target_recordings, *(task.targets or ())]),
        seed=recipe.train.seed,
        resamples=recipe.evaluate.bootstrap,
        cache=Path("dump") / recipe.roles[way.source] / JUDGED,
        baselines=partial(common.baselines, way, held, task),
        untrained=None if untrained else partial(common.nearest, way, held, task),
        analyse=common.analyse,
    )


def _cautions(task: VoiceTask, scores: Scores) -> list[str]:
    """Warn if there is too little data for more than a smoke test."""
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
            f"(content kept {scores['content'][REAL].value:.2f}, by chance {chance:.2f}): they may "
            "be other sentences"
        )
    return found

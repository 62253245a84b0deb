"""Voice conversion on a board: every system on every measure, beside the target's own recordings.

    task = VoiceTask(16000, sources, targets, target_recordings, target_training, source_training)
    board = VoiceBoard(task)
    board.add("copy", sources)
    board.add("model", outputs)
    print(markdown(board.scores()))

Row `target` is the target's own held-out recordings: of the same sentences where the task is
parallel. Spectrum, pitch and voice are compared with the target's training recordings, so that row
has its own distance from them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from vctool.evaluation.board import Board
from vctool.evaluation.parallel import spread
from vctool.evaluation.voices import baselines
from vctool.evaluation.voices.baselines import REAL
from vctool.metrics.base import Each, Group, Recall, Row, ask_anew
from vctool.metrics.voice_analysis import VoiceAnalysis, analyse_all

Analyse = Callable[[Sequence[np.ndarray], int], list[VoiceAnalysis]]
"""Analyses waves at a rate, as `analyse_all` does."""
LACKING = {
    "targets": "no recordings of the same sentences by the target",
    "texts": "no text of the sources is known",
}
"""Why a metric is not run, unless the task knows better."""


@dataclass(frozen=True)
class VoiceTask:
    """What the outputs of every system are measured against; all waves (T,) at one rate."""

    rate: int
    """[Hz]."""
    sources: Sequence[np.ndarray]
    """The held-out utterances that were converted."""
    targets: Sequence[np.ndarray] | None
    """The target's recordings of the same sentences, in the same order; None: not parallel."""
    target_recordings: Sequence[np.ndarray]
    """Held-out recordings of the target, of any sentences; never empty."""
    target_training: Sequence[np.ndarray]
    """Recordings of the target that are not scored: the reference of voice and distributions."""
    source_training: Sequence[np.ndarray]
    """Recordings of the source that are not scored: its voice."""
    texts: Sequence[str] | None = None
    """The words of every source, where they are known."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """Why something is not known, by fields of `vctool.metrics.base.Row`."""

    def board(self, nj: int = 1) -> "VoiceBoard":
        """Open a board, with the target's recordings measured, on `nj` processes."""
        return VoiceBoard(self, spread(nj))

    def baselines(self, nj: int = 1) -> dict[str, list[np.ndarray]]:
        """Make the waves of every baseline, fitted on the training recordings."""
        each = spread(nj)
        formula = baselines.fit(self.source_training, self.target_training, self.rate, each)
        return baselines.build(self.sources, self.targets, self.rate, formula, each)


class VoiceBoard(Board[VoiceAnalysis]):
    """Measures systems that turn one voice into another.

    Args:
        task: what they are measured against.
        each: applies functions to waves, on processes where it has any.
        recall: asks the networks that judge voices, or remembers what they said.
        analyse: analyses waves, or remembers what it found; with `each` where not given.
    """

    name = "voices"
    real_row = REAL
    analysis = VoiceAnalysis

    def __init__(
        self,
        task: VoiceTask,
        each: Each | None = None,
        recall: Recall = ask_anew,
        analyse: Analyse | None = None,
    ) -> None:
        assert task.targets is None or len(task.targets) == len(task.sources), "one target a source"
        each = each or spread(1)
        self.task = task
        sources = Group(task.sources, task.rate, analyse or partial(analyse_all, each=each))
        recordings = sources.like(task.target_recordings)
        row = Row(
            outputs=sources,
            sources=sources,
            targets=None if task.targets is None else sources.like(task.targets),
            recordings=recordings,
            reference=sources.like(task.target_training),
            source_reference=sources.like(task.source_training),
            texts=task.texts,
            each=each,
            recall=recall,
        )
        if row.targets is not None:
            real = replace(row, outputs=row.targets)
        else:
            real = replace(row, outputs=recordings, sources=None, texts=None, paired=False)
        super().__init__(row, [real], LACKING | dict(task.lacking))

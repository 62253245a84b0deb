"""Singing on a board: every system on every measure, beside real singing.

    task = SingingTask(16000, speech, sung[::2], sung[1::2], accomps=music)
    board = SingingBoard(task)
    board.add("model", outputs)
    print(markdown(board.scores()))

Row `real singing` is half B of the held-out singing; half A is the reference of every distance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from vctool.evaluation.board import Board
from vctool.evaluation.parallel import spread
from vctool.evaluation.singing import baselines
from vctool.metrics import distribution
from vctool.metrics.analysis import Analysis, analyse_all
from vctool.metrics.base import Each, Group, Recall, Row, ask_anew
from vctool.metrics.words import Positions

REAL, OTHERS = "real singing", "real singing, other singers"
"""The row of held-out singing, and that of every singer against the others."""
LACKING = {
    "accompaniments": "no accompaniment of the sources is known",
    "targets": "no source is known truly sung",
    "target_maps": "no source is known truly sung",
    "grammar": "no grammar of the sentences is known",
    "texts": "no text of the sources is known",
}
"""Why a metric is not run, unless the task knows better."""


@dataclass(frozen=True)
class SingingTask:
    """What the outputs of every system are measured against; all waves (T,) at one rate."""

    rate: int
    """[Hz]."""
    sources: Sequence[np.ndarray]
    """The held-out speech that was converted."""
    real_a: Sequence[np.ndarray]
    """Half of the held-out singing: the reference."""
    real_b: Sequence[np.ndarray]
    """The other half: the row `real singing`."""
    accomps: Sequence[np.ndarray] | None = None
    """The accompaniment of every source, where there is one."""
    real_b_accomps: Sequence[np.ndarray] | None = None
    """The accompaniment that every recording of half B was sung to."""
    truths: Sequence[np.ndarray] | None = None
    """The same sentences truly sung, where they are known."""
    truth_maps: Sequence[np.ndarray] | None = None
    """(K, 2) moments of speech and of true singing with the same sound [s], one per truth."""
    texts: Sequence[str] | None = None
    """The words of every source, where they are known."""
    grammar: Positions | None = None
    """The words that may stand at each position of these texts."""
    real_a_singers: Sequence[str] | None = None
    """Whose every recording of half A is, where that is known."""
    real_b_singers: Sequence[str] | None = None
    """The same of half B."""
    seed: int = 0
    """Of the random clips among the baselines, and of what metrics draw."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """Why something is not known, by fields of `vctool.metrics.base.Row`."""

    def board(self, nj: int = 1) -> "SingingBoard":
        """Open a board, with real singing measured, on `nj` processes."""
        return SingingBoard(self, spread(nj))

    def baselines(self, nj: int = 1) -> dict[str, list[np.ndarray]]:
        """Make the waves of every baseline, one per source."""
        return baselines.build(
            self.sources, self.rate, self.accomps, self.real_b, seed=self.seed, each=spread(nj)
        )


class SingingBoard(Board[Analysis]):
    """Measures systems that turn speech into singing.

    Args:
        task: what they are measured against.
        each: applies functions to waves, on processes where it has any.
        recall: asks the network that judges sound, or remembers what it said.
    """

    name = "singing"
    real_row = REAL
    analysis = Analysis

    def __init__(
        self, task: SingingTask, each: Each | None = None, recall: Recall = ask_anew
    ) -> None:
        each = each or spread(1)
        self.task = task

        def group(waves: Sequence[np.ndarray] | None) -> Group[Analysis] | None:
            return None if waves is None else sources.like(waves)

        sources = Group(task.sources, task.rate, partial(analyse_all, each=each))
        row = Row(
            outputs=sources,
            sources=sources,
            targets=group(task.truths),
            reference=group(task.real_a),
            reference_singers=task.real_a_singers,
            texts=task.texts,
            grammar=task.grammar,
            accompaniments=group(task.accomps),
            target_maps=task.truth_maps,
            seed=task.seed,
            each=each,
            recall=recall,
        )
        # Real singing comes in two: half B, of any words, and the sentences truly sung.
        half_b = replace(
            row,
            outputs=sources.like(task.real_b),
            sources=None,
            targets=None,
            texts=None,
            grammar=None,
            accompaniments=group(task.real_b_accomps),
            target_maps=None,
            paired=False,
        )
        real = [half_b]
        if row.targets is not None:
            truths = replace(half_b, outputs=row.targets, accompaniments=None, paired=True)
            real.append(replace(truths, reference=None, texts=task.texts, grammar=task.grammar))
        super().__init__(row, real, LACKING | dict(task.lacking))
        if task.real_a_singers is not None and task.real_b_singers is not None:
            assert row.reference is not None
            found = distribution.left_out(
                distribution.reference_of(row),
                [*row.reference.analyses, *half_b.outputs.analyses],
                [*task.real_a_singers, *task.real_b_singers],
            )
            if found:
                self.pooled[OTHERS] = found
                self.apart.add(OTHERS)

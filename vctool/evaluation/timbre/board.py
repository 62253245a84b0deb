"""Transfer of timbre on a board: every system on every measure, beside the target's recordings.

    task = TimbreTask(16000, contents, styles, targets, notes)
    board = TimbreBoard(task)
    board.add("copy", contents)
    board.add("model", outputs)
    print(markdown(board.scores()))

Row `target` is the notes of the content played by the instrument of the style. A row whose notes
are further from the right ones than the content's own by more than `GATE` fails the pitch gate: it
has the sound of the target at the cost of its notes, and is in no ranking.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vctool.evaluation.board import Board
from vctool.evaluation.page.table import COPY, Scores
from vctool.evaluation.parallel import spread
from vctool.evaluation.timbre import baselines
from vctool.evaluation.timbre.baselines import REAL
from vctool.metrics.base import Each, Group, Recall, Row, ask_anew

GATE = 0.1
"""Most that a row's pitch may lie above the copy's."""
PITCHES = ("midi_pitch", "heard_pitch")
"""The measures that the gate looks at: the first that is there."""
LACKING = {"notes": "the notes of the contents are not known"}
"""Why a metric is not run."""


@dataclass(frozen=True)
class Contour:
    """What plots draw over a spectrogram: no F0, since several notes may sound at once."""

    f0: np.ndarray
    """(F,) zeros."""


@dataclass(frozen=True)
class TimbreTask:
    """What the outputs of every system are measured against; all waves (T,) at one rate."""

    rate: int
    """[Hz]."""
    contents: Sequence[np.ndarray]
    """(N,) whose notes were to be heard."""
    styles: Sequence[np.ndarray]
    """(N,) whose sound was asked for."""
    targets: Sequence[np.ndarray]
    """(N,) the notes of the contents by the instruments of the styles."""
    notes: Sequence[np.ndarray] | None = None
    """(N,) each (K, 3): onset [s], offset [s] and MIDI pitch of the notes of a content, where they
    are known of all."""

    def board(self, nj: int = 1) -> "TimbreBoard":
        """Open a board, with the targets measured, on `nj` processes."""
        return TimbreBoard(self, spread(nj))

    def baselines(self, nj: int = 1) -> dict[str, list[np.ndarray]]:
        """Make the waves of every baseline but the resynthesis."""
        return baselines.build(self.contents, self.styles, self.rate, each=spread(nj))


class TimbreBoard(Board[Contour]):
    """Measures systems that play the notes of one recording with the sound of another.

    Args:
        task: what they are measured against.
        each: applies functions to waves, on processes where it has any.
        recall: asks the timbre network, or remembers what it said.
    """

    name = "timbre"
    real_row = REAL
    analysis = Contour

    def __init__(
        self, task: TimbreTask, each: Each | None = None, recall: Recall = ask_anew
    ) -> None:
        sizes = {len(task.contents), len(task.styles), len(task.targets)}
        assert len(sizes) == 1 and len(task.notes or task.targets) in sizes
        self.task = task
        contents = Group(task.contents, task.rate, _contours)
        row = Row(
            outputs=contents,
            sources=contents,
            targets=contents.like(task.targets),
            styles=contents.like(task.styles),
            notes=task.notes,
            each=each or spread(1),
            recall=recall,
        )
        assert row.targets is not None
        super().__init__(row, [replace(row, outputs=row.targets)], LACKING)


def _contours(waves: Sequence[np.ndarray], rate: int) -> list[Contour]:
    return [Contour(np.zeros(2)) for _ in waves]


def failing(scores: Scores) -> dict[str, float]:
    """Return the rows that fail the pitch gate, with how far above the copy's pitch they lie.

    Empty where no pitch was measured.
    """
    pitch = next((scores[name] for name in PITCHES if name in scores), {})
    if COPY not in pitch:
        return {}
    above = {name: score.value - pitch[COPY].value for name, score in pitch.items()}
    return {name: value for name, value in above.items() if name != COPY and value > GATE}


def measured(scores: Scores) -> bool:
    """Tell whether the pitch gate was taken."""
    return any(name in scores for name in PITCHES)

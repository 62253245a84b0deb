"""Doubles on a board: takes beside the leads that they are to sound with.

    board = DoublesBoard(leads, 16000)
    board.add("double", takes)
    print(markdown(board.scores()))

Row `lead` is the leads themselves, as natural as they were recorded; the measures of a take against
its lead say nothing of it. What a take should measure is what real second takes do
(`metrics.take_distance`), which may stand in a row of their own.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from vctool.evaluation.board import Board
from vctool.evaluation.parallel import spread
from vctool.metrics.base import Each, Group, Recall, Row, ask_anew
from vctool.metrics.voice_analysis import VoiceAnalysis, analyse_all

LEAD = "lead"
"""The row of the leads."""


class DoublesBoard(Board[VoiceAnalysis]):
    """Measures takes.

    Args:
        leads: (N,) waves (T,); two or more. Takes are as long as they are.
        rate: of them [Hz].
        each: applies functions to waves, on processes where it has any.
        recall: asks the networks that judge sound, or remembers what they said.
    """

    name = "doubles"
    real_row = LEAD
    analysis = VoiceAnalysis

    def __init__(
        self,
        leads: Sequence[np.ndarray],
        rate: int,
        each: Each | None = None,
        recall: Recall = ask_anew,
    ) -> None:
        each = each or spread(1)
        group = Group(leads, rate, partial(analyse_all, each=each))
        row = Row(outputs=group, sources=group, in_place=True, each=each, recall=recall)
        super().__init__(row, [replace(row, sources=None)])

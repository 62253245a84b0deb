"""Vocoders on a board: recordings through each, beside the recordings themselves.

    board = VocoderBoard(recordings, 16000)
    board.add("griffin_lim", waves, seconds=seconds)
    print(markdown(board.scores()))

A vocoder gets the features of held-out recordings and should give the recordings back. Row
`recording` is what nothing can surpass: 0 away from itself, and as natural as it was recorded.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from vctool.evaluation.board import Board
from vctool.evaluation.parallel import spread
from vctool.metrics.base import Each, Group, Recall, Row, ask_anew
from vctool.metrics.voice_analysis import VoiceAnalysis, analyse_all

REAL = "recording"
"""The row of the recordings."""
LACKING = {"texts": "no text of the recordings is known"}
"""Why measures are not taken."""


class VocoderBoard(Board[VoiceAnalysis]):
    """Measures vocoders.

    Args:
        recordings: (N,) held-out waves (T,); two or more. Outputs are as long as they are.
        rate: of them [Hz].
        each: applies functions to waves, on processes where it has any.
        recall: asks the network that judges sound, or remembers what it said.
        texts: (N,) what is said in them, where that is known.
    """

    name = "vocoders"
    real_row = REAL
    analysis = VoiceAnalysis

    def __init__(
        self,
        recordings: Sequence[np.ndarray],
        rate: int,
        each: Each | None = None,
        recall: Recall = ask_anew,
        texts: Sequence[str] | None = None,
    ) -> None:
        each = each or spread(1)
        group = Group(recordings, rate, partial(analyse_all, each=each))
        row = Row(
            outputs=group,
            sources=group,
            targets=group,
            texts=texts,
            in_place=True,
            each=each,
            recall=recall,
        )
        # The recordings are what outputs should be: most of their values are so by definition.
        super().__init__(row, [replace(row, sources=None, targets=None)], LACKING)

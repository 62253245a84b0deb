"""Scores of converted recordings beside their baselines: stage 6, `vctool evaluate`, and scripts.

    from vctool.evaluation import VoiceTask, anchored_board, markdown

    board = anchored_board(VoiceTask(16000, sources, targets, targets, b_train, a_train))
    board.add("model", outputs)
    print(markdown(board.scores()))

A name is imported when it is first asked for, so that the command line loads no more than it needs.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vctool.evaluation.board import Board, anchored_board, markdown
    from vctool.evaluation.page.compare import compare
    from vctool.evaluation.singing.board import SingingBoard, SingingTask
    from vctool.evaluation.vocoders.board import VocoderBoard
    from vctool.evaluation.voices.board import VoiceBoard, VoiceTask

__all__ = [
    "Board",
    "SingingBoard",
    "SingingTask",
    "VocoderBoard",
    "VoiceBoard",
    "VoiceTask",
    "anchored_board",
    "compare",
    "markdown",
]

_HOMES = {
    "Board": "board",
    "anchored_board": "board",
    "markdown": "board",
    "compare": "page.compare",
    "SingingBoard": "singing.board",
    "SingingTask": "singing.board",
    "VocoderBoard": "vocoders.board",
    "VoiceBoard": "voices.board",
    "VoiceTask": "voices.board",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

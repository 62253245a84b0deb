"""Files that a data dir names for some utterances: time maps and lists of notes."""

from pathlib import Path

import numpy as np

from vctool.errors import DataError

NOTES_HEADER = "onset\toffset\tpitch"
"""The first line of a list of notes."""


def read_time_map(path: Path) -> np.ndarray:
    """Read a time map: knots, (K, 2) float64, both columns increasing [s].

    Raises:
        DataError: it holds something else.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
        header = 1 if lines and lines[0].startswith("speech_seconds") else 0
        knots = np.array([line.split("\t") for line in lines[header:]], dtype=np.float64)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a time map: {error}") from None
    # `not all(> 0)` rather than `any(<= 0)`, so that NaN is refused too
    if knots.ndim != 2 or knots.shape[1] != 2 or not (np.diff(knots, axis=0) > 0).all():
        raise DataError(f"{path}: not two increasing columns; build the corpus again")
    return knots


def read_notes(path: Path) -> np.ndarray:
    """Read a list of notes: onset [s], offset [s] and pitch (MIDI number), (N, 3) float64.

    Raises:
        DataError: it holds something else.
    """
    try:
        head, *lines = path.read_text("utf-8-sig").splitlines() or [""]
        notes = np.array([line.split("\t") for line in lines], np.float64).reshape(-1, 3)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a list of notes: {error}") from None
    if head != NOTES_HEADER or not (notes[:, 0] < notes[:, 1]).all():
        raise DataError(f"{path}: not a list of notes; prepare the corpus again")
    return notes

"""Comparing lists of notes: which keys sound when, and which notes begin together."""

import numpy as np

STEP = 0.01
"""Time between the moments at which sounding keys are compared [s]."""
TOLERANCE = 0.05
"""Two notes begin together when their onsets differ by less [s], as usual in transcription."""


def roll(notes: np.ndarray, moments: int) -> np.ndarray:
    """Mark which of 128 keys sound: (moments, 128) of bool, every `STEP`.

    Args:
        notes: (N, 3): onset [s], offset [s], pitch (MIDI number).
        moments: how many.
    """
    made = np.zeros((moments, 128), bool)
    for onset, offset, pitch in notes.tolist():
        made[
            round(onset / STEP) : max(round(onset / STEP) + 1, round(offset / STEP)), int(pitch)
        ] = 1
    return made


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean Jaccard distance of the keys that sound in two lists of notes, 0 to 1.

    At every moment it is one less the keys in both over the keys in either, and 0 where no key
    sounds in either. It runs to the last offset of the two.
    """
    ends = [notes[:, 1].max(initial=0.0) for notes in (one, other)]
    moments = max(1, round(max(ends) / STEP))
    first, second = roll(one, moments), roll(other, moments)
    either = (first | second).sum(axis=1)
    both = (first & second).sum(axis=1)
    return float(np.where(either > 0, 1.0 - both / np.maximum(either, 1), 0.0).mean())


def onset_f1(heard: np.ndarray, true: np.ndarray) -> float:
    """Return the F1 of notes with the right key and onset, 0 to 1; 1 where there are none at all.

    Every note is matched at most once, those that begin first first.

    Args:
        heard: (N, 3) by onset: onset [s], offset [s], pitch.
        true: (M, 3) likewise.
    """
    if not len(heard) and not len(true):
        return 1.0
    matched = 0
    for pitch in np.unique(true[:, 2]):
        wanted = sorted(true[true[:, 2] == pitch, 0].tolist())
        given = sorted(heard[heard[:, 2] == pitch, 0].tolist())
        at = 0
        for onset in wanted:
            while at < len(given) and given[at] < onset - TOLERANCE:
                at += 1
            if at < len(given) and given[at] <= onset + TOLERANCE:
                matched += 1
                at += 1
    return 2.0 * matched / (len(heard) + len(true))

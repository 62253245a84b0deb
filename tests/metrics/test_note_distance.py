"""Distances between lists of notes, on stored ones."""

import numpy as np
import pytest

from vctool.metrics.note_distance import jaccard, onset_f1

NONE = np.zeros((0, 3))
SCALE = np.array([[0.0, 0.5, 60], [0.5, 1.0, 62], [1.0, 1.5, 64]])


def moved(seconds: float = 0.0, semitones: int = 0) -> np.ndarray:
    return SCALE + np.array([seconds, seconds, semitones])


def test_sets_of_keys_are_compared_moment_by_moment() -> None:
    assert jaccard(NONE, NONE) == 0.0  # two empty sets are alike
    assert jaccard(SCALE, SCALE) == 0.0
    assert jaccard(SCALE, NONE) == jaccard(NONE, SCALE) == 1.0
    assert jaccard(SCALE, moved(semitones=12)) == 1.0
    chord = np.concatenate([SCALE, moved(semitones=7)])
    assert jaccard(SCALE, chord) == pytest.approx(0.5)
    # silence in both counts as alike, silence in one does not
    apart = np.array([[0.0, 0.5, 60], [1.5, 2.0, 60]])
    assert jaccard(apart, apart[:1]) == pytest.approx(0.25)


def test_half_a_note_too_late_is_half_wrong() -> None:
    one, late = np.array([[0.0, 1.0, 60]]), np.array([[0.5, 1.5, 60]])
    assert jaccard(one, late) == pytest.approx(1 - 0.5 / 1.5)


def test_onsets_match_once_within_their_tolerance_and_in_the_same_key() -> None:
    assert onset_f1(NONE, NONE) == 1.0
    assert onset_f1(SCALE, NONE) == onset_f1(NONE, SCALE) == 0.0
    assert onset_f1(SCALE, SCALE) == onset_f1(moved(0.04), SCALE) == 1.0
    assert onset_f1(moved(0.06), SCALE) == onset_f1(moved(semitones=1), SCALE) == 0.0
    twice = np.concatenate([SCALE, moved(0.02)])
    assert onset_f1(twice, SCALE) == pytest.approx(2 * 3 / 9)
    assert onset_f1(SCALE[:2], SCALE) == pytest.approx(2 * 2 / 5)
    near = np.array([[0.0, 0.1, 60], [0.06, 0.2, 60]])
    assert onset_f1(near, np.array([[0.05, 0.2, 60], [0.1, 0.3, 60]])) == 1.0

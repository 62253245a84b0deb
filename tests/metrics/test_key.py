"""The key of an accompaniment, and the melody in it."""

import numpy as np
import pytest

from tests.sounds import make_note
from vctool.features.chroma import chroma
from vctool.features.settings import FeatureConfig
from vctool.metrics.key import CHANCE, NAMES, Key, find_key, seconds_in
from vctool.metrics.notes import segment
from vctool.metrics.pitch import FRAME_RATE

CONFIG = FeatureConfig(rate=16000, hop_length=160, n_fft=1024, n_mels=40)
CADENCES = {"major": ((0, 4, 7), (5, 9, 0), (7, 11, 2), (0, 4, 7)),
            "minor": ((0, 3, 7), (5, 8, 0), (7, 10, 2), (0, 3, 7))}  # fmt: skip


def melody(notes: list[int], seconds: float = 0.3) -> np.ndarray:
    """F0 (F,) of MIDI notes, with rests between."""
    length = round(seconds * FRAME_RATE)
    each = [np.r_[np.full(length, 440 * 2 ** ((one - 69) / 12)), np.zeros(5)] for one in notes]
    return np.concatenate(each)


@pytest.mark.parametrize("mode", ["major", "minor"])
@pytest.mark.parametrize("tonic", [0, 3, 9, 11])
def test_the_key_of_a_cadence_is_found(tonic: int, mode: str) -> None:
    sound = np.concatenate(
        [sum(make_note(0.5, 48 + tonic + one) for one in chord) for chord in CADENCES[mode]]
    )
    found = find_key(chroma(sound, CONFIG).sum(axis=0))
    assert found == Key(tonic, mode)
    assert str(found) == f"{NAMES[tonic]} {mode}" and len(found.classes) == 7


def test_noise_and_silence_have_no_key() -> None:
    assert find_key(chroma(np.zeros(16000), CONFIG).sum(axis=0)) is None
    assert find_key(np.zeros(12)) is None and find_key(np.ones(12)) is None


def test_held_notes_count_by_their_length() -> None:
    a_minor, c_major = Key(9, "minor"), Key(0, "major")
    assert a_minor.classes == c_major.classes == {0, 2, 4, 5, 7, 9, 11}
    scale = segment(melody([60, 62, 64, 65, 67, 69, 71, 72]))
    assert seconds_in(scale, c_major) == pytest.approx((2.4, 2.4))
    assert seconds_in(segment(melody([61, 63, 66])), c_major) == pytest.approx((0, 0.9))
    every = seconds_in(segment(melody(list(range(60, 72)))), a_minor)
    assert every[0] / every[1] == pytest.approx(CHANCE)
    # what is too short for a note is none
    assert seconds_in(segment(melody([60, 61, 62], 0.05)), c_major) == (0, 0)

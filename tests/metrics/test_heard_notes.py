"""Notes that basic-pitch's network hears."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vctool import audio
from vctool.corpora import tones
from vctool.metrics import heard_notes
from vctool.metrics.heard_notes import Activations, decode
from vctool.metrics.note_distance import jaccard, onset_f1
from vctool.metrics.unavailable import MetricUnavailable

STEP = heard_notes.HOP / heard_notes.RATE


@pytest.fixture
def hears(needs: Any) -> Callable[[np.ndarray, int], np.ndarray]:
    try:
        heard_notes.require()
    except MetricUnavailable as missing:
        needs.lacks(str(missing))
    return lambda wave, rate: heard_notes.hear(audio.resample(wave, rate, heard_notes.RATE))


@pytest.mark.parametrize("voices", ["mono", "poly"])
def test_the_notes_that_are_played_are_heard(
    hears: Callable[[np.ndarray, int], np.ndarray], voices: str
) -> None:
    true = np.array(tones.notes(f"test_{voices}_000"))
    wave = tones.play(
        tones.notes(f"test_{voices}_000"), tones.SEEN["guitar"], np.random.default_rng(0)
    )
    found = hears(wave, tones.INFO.rate)
    assert found.shape[1] == 3 and (np.diff(found[:, 0]) >= 0).all()
    assert (found[:, 1] > found[:, 0]).all()
    limit = 0.35 if voices == "mono" else 0.6
    assert jaccard(found, true) < limit < jaccard(found + np.array([0, 0, 1]), true)
    assert onset_f1(found, true) > 0.55
    np.testing.assert_array_equal(hears(0.1 * wave, tones.INFO.rate)[:, 2], found[:, 2])


def test_windows_join_without_a_seam(hears: Callable[[np.ndarray, int], np.ndarray]) -> None:
    """What is played later is heard later, wherever the windows lie."""
    wave = tones.play(tones.notes("test_mono_001"), tones.SEEN["guitar"], np.random.default_rng(0))
    late = np.pad(wave, (round(1.1 * tones.INFO.rate), 0))
    one, other = (hears(each, tones.INFO.rate) for each in (wave, late))
    assert onset_f1(other - np.array([1.1, 1.1, 0]), one) > 0.9
    assert not len(hears(np.zeros(8000, np.float32), tones.INFO.rate))


def test_activations_become_notes() -> None:
    notes, onsets = np.zeros((100, 88)), np.zeros((100, 88))
    notes[10:40, 39] = 0.9  # MIDI 60
    notes[12:38, 40] = 0.5  # weaker beside it
    notes[25:28, 39] = 0.1  # a short gap
    notes[50:90, 51] = 0.8
    onsets[70, 51] = 0.7  # begun anew
    notes[95:99, 20] = 0.9  # too short
    found = decode(Activations(notes, onsets))
    expected = [[10, 40, 60], [50, 70, 72], [70, 90, 72]]
    np.testing.assert_allclose(found, np.array(expected) * np.array([STEP, STEP, 1]))
    assert decode(Activations(0 * notes, 0 * onsets)).shape == (0, 3)


@pytest.mark.parametrize("package", ["basic_pitch", "onnxruntime"])
def test_an_absent_package_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch, needs: Any
) -> None:
    real: Any = heard_notes.find_spec

    def without(name: str) -> Any:
        return None if name == package else real(name)

    monkeypatch.setattr(heard_notes, "find_spec", without)
    if package == "onnxruntime" and real("basic_pitch") is None:
        needs.lacks("basic-pitch is not installed")
    with pytest.raises(MetricUnavailable, match=r"not installed; local/setup\.sh --eval"):
        heard_notes.require()


def test_neither_tensorflow_nor_essentia_is_loaded(
    hears: Callable[[np.ndarray, int], np.ndarray],
) -> None:
    hears(np.random.default_rng(0).standard_normal(8000).astype("f4"), 16000)
    assert not {"tensorflow", "essentia", "basic_pitch", "tflite_runtime"} & set(sys.modules)

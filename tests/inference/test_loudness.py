import logging

import numpy as np
import pytest

from tests.sounds import make_speech
from vctool.audio import SILENCE_DB, level_db
from vctool.audio.tracks import ArrayTrack
from vctool.features.analysis import Scan, scan
from vctool.features.settings import FeatureConfig
from vctool.inference.loudness import level_gain

CONFIG = FeatureConfig(rate=16000, n_fft=512, hop_length=192)


def heard(wave: np.ndarray) -> Scan:
    return scan(ArrayTrack(wave), CONFIG, (), len(wave))


def test_an_output_is_as_loud_as_its_input() -> None:
    known = heard(make_speech(1.0))
    gain = level_gain(known, known.level_db - 6.0, 0.2)
    assert 20 * np.log10(gain) == pytest.approx(6.0)


def test_an_output_that_would_clip_is_softer_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = heard(make_speech(1.0))
    with caplog.at_level(logging.INFO):
        gain = level_gain(known, known.level_db - 6.0, 0.9)
    assert gain * 0.9 == pytest.approx(0.99)
    assert caplog.messages == ["the output is 5.2 dB softer than the input, so as not to clip"]
    with caplog.at_level(logging.INFO):
        level_gain(known, known.level_db - 6.0, 0.4)
    assert len(caplog.messages) == 1


def test_silence_stays_silence(caplog: pytest.LogCaptureFixture) -> None:
    silent, loud = heard(np.zeros(16000, np.float32)), heard(make_speech(1.0))
    assert level_gain(silent, -20.0, 0.5) == 1.0
    assert not caplog.messages
    assert level_gain(loud, SILENCE_DB, 1e-6) == 1.0
    assert caplog.messages == ["the model's output is silent although its input is not"]
    assert level_db(make_speech(1.0), 16000) == loud.level_db

"""DNSMOS: what upstream computes, at one level, without its traps."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vctool.metrics import naturalness
from vctool.metrics.levelled import LEVEL_DB, levelled
from vctool.metrics.unavailable import MetricUnavailable

Voice = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def predictor(needs: Any) -> naturalness.OpinionPredictor:
    try:
        return naturalness.OpinionPredictor()
    except MetricUnavailable as missing:
        needs.lacks(str(missing))


def test_it_is_what_the_package_predicts(
    predictor: naturalness.OpinionPredictor, voice: Voice
) -> None:
    from speechmos import dnsmos

    wave = voice(0)
    looped = np.tile(levelled(wave, 16000), 5)[: int(9.01 * 16000)]
    expected = dnsmos.run(looped, sr=16000)
    found = naturalness.pooled(predictor.predict_all([wave], 16000))
    for ours, theirs in zip(
        naturalness.COLUMNS, ("ovrl_mos", "sig_mos", "bak_mos", "p808_mos"), strict=True
    ):
        assert found[ours].value == pytest.approx(float(expected[theirs]), abs=1e-4), ours


def test_level_changes_nothing(predictor: naturalness.OpinionPredictor, voice: Voice) -> None:
    wave = voice(1)
    plain = predictor.predict(wave, 16000)
    for gain in (0.003, 7.0):  # the package refuses what lies beyond -1 to 1
        np.testing.assert_allclose(predictor.predict(gain * wave, 16000), plain, atol=1e-3)


def test_noise_is_heard_as_background(
    predictor: naturalness.OpinionPredictor, voice: Voice
) -> None:
    wave = voice(2)
    noise = np.random.default_rng(0).standard_normal(len(wave))
    clean, noisy = predictor.predict_all([wave, wave + 0.05 * noise], 16000)
    assert noisy[2] < clean[2] - 0.3  # background
    assert noisy[0] < clean[0]  # overall
    assert (clean > 0.9).all() and (clean < 5.1).all()


def test_silence_and_single_samples_end(predictor: naturalness.OpinionPredictor) -> None:
    for samples in (1, 16000):
        assert np.isfinite(predictor.predict(np.zeros(samples), 16000)).all()
    assert np.isfinite(predictor.predict(np.ones(1), 8000)).all()


@pytest.mark.parametrize("package", ["speechmos", "onnxruntime"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "speechmos"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MetricUnavailable, match=f"naturalness: {package} is not installed"):
        naturalness.OpinionPredictor()


def test_waves_are_brought_to_one_level(voice: Voice) -> None:
    from vctool.audio.loudness import level_db

    wave = voice(3)
    for gain in (1e-4, 1.0, 50.0):
        assert level_db(levelled(gain * wave, 16000), 16000) == pytest.approx(LEVEL_DB, abs=0.01)
    assert np.abs(levelled(np.eye(16000)[0], 16000)).max() <= 0.99
    assert not levelled(np.zeros(100), 44100).any()

"""DistillMOS: what upstream computes, at one level, in less time."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from vctool.metrics import distillmos
from vctool.metrics.levelled import levelled
from vctool.metrics.unavailable import MetricUnavailable

Voice = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def predictor(needs: Any) -> distillmos.NaturalnessPredictor:
    try:
        return distillmos.NaturalnessPredictor()
    except MetricUnavailable as missing:
        needs.lacks(str(missing))


@pytest.mark.parametrize("seconds", [0.01, 2.0, 7.68])
def test_it_is_what_the_package_predicts(
    predictor: distillmos.NaturalnessPredictor,
    voice: Voice,
    seconds: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from distillmos import ConvTransformerSQAModel

    wave = voice(0, seconds=8.0)[3000 : 3000 + round(16000 * seconds)]
    with torch.no_grad():
        model = ConvTransformerSQAModel().eval()
        expected = model(torch.from_numpy(levelled(wave, 16000))[None])
    assert capsys.readouterr().out  # which ours does not print
    assert predictor.predict(wave, 16000)[0] == pytest.approx(float(expected), abs=1e-4)


def test_a_long_wave_is_the_mean_of_windows_that_cover_it(
    predictor: distillmos.NaturalnessPredictor, voice: Voice
) -> None:
    size = distillmos.SAMPLES
    first, second = np.tile(voice(1), 4)[:size], np.zeros(size)
    halves = [predictor.predict(one, 16000)[0] for one in (first, second)]
    both = predictor.predict(np.concatenate([first, second]), 16000)[0]
    assert abs(halves[0] - halves[1]) > 0.3
    assert both == pytest.approx(np.mean(halves), abs=0.02)


def test_level_changes_nothing_and_silence_ends(
    predictor: distillmos.NaturalnessPredictor, voice: Voice
) -> None:
    wave = voice(1)
    plain = predictor.predict(wave, 16000)
    for gain in (0.003, 7.0):
        np.testing.assert_allclose(predictor.predict(gain * wave, 16000), plain, atol=1e-3)
    for samples in (1, 16000):
        assert np.isfinite(predictor.predict(np.zeros(samples), 16000)).all()


@pytest.mark.parametrize("package", ["distillmos", "xls_r_sqa"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] in ("distillmos", "xls_r_sqa"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MetricUnavailable, match=f"DistillMOS: {package}.* is not installed"):
        distillmos.NaturalnessPredictor()

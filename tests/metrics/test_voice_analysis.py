"""What the measures of voices read of a wave."""

from collections.abc import Callable

import numpy as np
import soxr

from vctool.evaluation.parallel import spread
from vctool.features.mcep import warp
from vctool.metrics import voice_analysis
from vctool.metrics.pitch import HOP

Voice = Callable[..., np.ndarray]


def test_level_changes_nothing(voice: Voice) -> None:
    wave = voice(0)
    one, other = (voice_analysis.analyse(gain * wave, 16000) for gain in (1.0, 0.003))
    np.testing.assert_allclose(one.f0, other.f0, rtol=1e-9)
    np.testing.assert_allclose(one.mcep, other.mcep, atol=1e-6)
    np.testing.assert_array_equal(one.active, other.active)


def test_a_filter_of_known_cepstrum_moves_that_coefficient_alone(voice: Voice) -> None:
    wave = voice(1, 100.0)
    warped = warp(np.linspace(0, np.pi, len(wave) // 2 + 1), voice_analysis.ALPHA)
    for order in (1, 3):
        filtered = np.fft.irfft(np.fft.rfft(wave) * np.exp(0.3 * np.cos(order * warped)))
        before, after = (voice_analysis.analyse(w, 16000) for w in (wave, filtered))
        moved = (after.mcep - before.mcep)[before.active & after.active, 1:].mean(axis=0)
        expected = np.zeros(voice_analysis.ORDER)
        expected[order - 1] = 0.3
        np.testing.assert_allclose(moved, expected, atol=0.02)


def test_sampling_rate_changes_little(voice: Voice) -> None:
    wave = voice(2)
    one = voice_analysis.analyse(wave, 16000)
    # Back at 16 kHz, nothing is left above 7.6 kHz: no measure may take that for a difference.
    other = voice_analysis.analyse(soxr.resample(wave, 16000, 44100), 44100)
    assert len(one.f0) == len(other.f0)
    both = (one.f0 > 0) & (other.f0 > 0)
    assert both.mean() > 0.9
    assert np.median(np.abs(one.f0 - other.f0)[both]) < 0.05
    assert np.abs(one.mcep - other.mcep).mean() < 0.01


def test_silence_within_and_around_is_marked(voice: Voice) -> None:
    gap = np.zeros(50 * HOP)
    analysis = voice_analysis.analyse(np.concatenate([gap, voice(3), gap, voice(4)]), 16000)
    assert not analysis.active[:48].any() and not analysis.active[252:298].any()
    assert analysis.active[52:248].all() and analysis.active[302:498].all()
    assert len(analysis.shape) == analysis.active.sum()


def test_a_silent_wave_counts_as_sounding() -> None:
    for samples in (1, 100, 16000):
        analysis = voice_analysis.analyse(np.zeros(samples), 16000)
        assert analysis.active.all() and not analysis.f0.any()
        assert len(analysis.f0) == len(analysis.mcep) == 1 + samples // HOP
        assert np.isfinite(analysis.mcep).all()


def test_processes_give_the_same(voice: Voice) -> None:
    waves = [voice(seed, seconds=0.3) for seed in range(8)]
    alone = voice_analysis.analyse_all(waves, 16000)
    shared = voice_analysis.analyse_all(waves, 16000, spread(2))
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one.mcep, other.mcep)
        np.testing.assert_array_equal(one.f0, other.f0)

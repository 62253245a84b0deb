import numpy as np
import pytest

from tests.sounds import speak
from tests.toy import FEATURES
from vctool.features import world
from vctool.vocoders.direct import modify

RATE, HOP = FEATURES.rate, FEATURES.hop_length
WAVE = speak(5, 140.0, 1.0).astype(np.float32)
F0 = world.estimate_f0(WAVE, FEATURES)


def test_nothing_asked_gives_back_the_wave() -> None:
    for gains in (None, np.zeros((len(F0), 20))):
        np.testing.assert_array_equal(modify(WAVE, RATE, HOP, F0, F0, gains), WAVE)


def test_both_changes_at_once() -> None:
    gains = np.tile(np.where(np.arange(65) < 16, 0.0, -20.0), (len(F0), 1))  # above 2 kHz
    made = modify(WAVE, RATE, HOP, F0, 1.3 * F0, gains)
    assert made.dtype == np.float32
    heard = world.estimate_f0(made, FEATURES)
    both = (F0 > 0) & (heard > 0)
    assert np.median(heard[both] / F0[both]) == pytest.approx(1.3, rel=0.003)
    power = [np.abs(np.fft.rfft(one)) ** 2 for one in (WAVE, made)]
    low, high = (
        10 * np.log10(power[1][band].sum() / power[0][band].sum())
        for band in (slice(200, 1700), slice(2400, 7500))
    )
    assert abs(low) < 2.5
    assert high - low == pytest.approx(-20, abs=2)


def test_voicing_is_the_sources() -> None:
    """Frames that lack a wanted F0 are moved with their neighbours, not left at the old pitch."""
    holes = np.where(np.arange(len(F0)) % 20 < 5, 0.0, 1.5 * F0)
    np.testing.assert_allclose(
        modify(WAVE, RATE, HOP, F0, holes), modify(WAVE, RATE, HOP, F0, 1.5 * F0), atol=5e-3
    )
    np.testing.assert_array_equal(modify(WAVE, RATE, HOP, 0 * F0, F0), WAVE)
    np.testing.assert_array_equal(modify(WAVE, RATE, HOP, F0, 0 * F0), WAVE)


def test_silence_stays_silence_and_any_length_will_do() -> None:
    assert not modify(np.zeros(4000), RATE, HOP, np.full(32, 100.0), np.full(32, 150.0)).any()
    for samples in (1, 50, 129, 1000):
        frames = FEATURES.frames(samples)
        wave = WAVE[4000 : 4000 + samples]
        gains = np.full((frames, 9), 3.0)
        made = modify(wave, RATE, HOP, np.full(frames, 140.0), np.full(frames, 200.0), gains)
        assert made.shape == (samples,) and np.isfinite(made).all()


def test_it_repeats() -> None:
    gains = 5 * np.random.default_rng(0).standard_normal((len(F0), 30))
    first, second = (modify(WAVE, RATE, HOP, F0, 0.8 * F0, gains) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_pitch_arrives_where_it_was_asked_for_also_beside_a_wrong_contour() -> None:
    """As where sound was stretched, and its contour only interpolated."""
    slope = np.where(np.arange(len(F0)) % 40 < 20, 1.015, 0.985)
    made = modify(WAVE, RATE, HOP, slope * F0, 200.0 * (F0 > 0))
    heard = world.estimate_f0(made, FEATURES)
    both = (F0 > 0) & (heard > 0)
    both[:5] = both[-5:] = False
    cents = 1200 * np.log2(heard[both] / 200)
    assert abs(np.median(cents)) < 5
    assert np.percentile(np.abs(cents), 90) < 30

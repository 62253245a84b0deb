"""Mel-cepstra against the formula that defines them."""

import numpy as np
import pytest

from tests.sounds import buzz
from vctool.features import mcep, world
from vctool.features.settings import FeatureConfig


@pytest.mark.parametrize("alpha", [0.0, 0.35, 0.42])
def test_a_series_of_warped_cosines_comes_back_exactly(alpha: float) -> None:
    rng = np.random.default_rng(0)
    wanted = rng.normal(0, 0.5, (7, 25)) / np.arange(1, 26)
    omega = np.linspace(0, np.pi, 513)
    warped = omega + 2 * np.arctan(alpha * np.sin(omega) / (1 - alpha * np.cos(omega)))
    log_amplitude = wanted @ np.cos(np.arange(25)[:, None] * warped)
    power = np.exp(2 * log_amplitude)
    np.testing.assert_allclose(mcep.encode(power, 24, alpha), wanted, atol=1e-9)
    np.testing.assert_allclose(mcep.decode(wanted, 513, alpha), power, rtol=1e-9)


def test_one_pole_has_the_known_cepstrum() -> None:
    """Without warping, 1 / (1 - a z^-1) has c_m = a^m / m and c_0 = 0."""
    a, order = 0.5, 10
    omega = np.linspace(0, np.pi, 4097)
    power = 1 / np.abs(1 - a * np.exp(-1j * omega)) ** 2
    expected = np.r_[0.0, a ** np.arange(1, order + 1) / np.arange(1, order + 1)]
    np.testing.assert_allclose(mcep.encode(power[None], order, 0.0)[0], expected, atol=1e-6)


def test_level_is_c0_alone() -> None:
    power = np.exp(np.random.default_rng(1).normal(0, 1, (3, 257)))
    shift = mcep.encode(100 * power, 12, 0.42) - mcep.encode(power, 12, 0.42)
    np.testing.assert_allclose(shift[:, 0], np.log(10.0), atol=1e-9)
    np.testing.assert_allclose(shift[:, 1:], 0.0, atol=1e-9)


def test_warping_keeps_the_ends_and_stretches_the_low_end() -> None:
    np.testing.assert_allclose(mcep.warp(np.array([0.0, np.pi]), 0.42), [0.0, np.pi], atol=1e-12)
    # at 0 the slope is (1 + alpha) / (1 - alpha)
    step = mcep.warp(np.array([1e-6]), 0.42)[0] / 1e-6
    assert step == pytest.approx(1.42 / 0.58, rel=1e-4)


def test_world_coded_by_mel_cepstra_sounds_like_the_input() -> None:
    config = FeatureConfig(
        rate=16000, hop_length=80, n_fft=1024, n_mels=80, envelope_dim=25, envelope_coding="mcep"
    )
    wave = buzz(1.0, 120, 65)
    wave = wave + np.random.default_rng(2).normal(0, 1e-3, len(wave))
    coded = world.analyse(wave, config)
    assert coded.shape == (201, world.world_dim(config))
    made = world.synthesise(coded, config, len(wave))
    again = world.analyse(made, config)
    middle = slice(20, 180)
    np.testing.assert_allclose(again[middle, 0], 120, rtol=0.01)
    # c1 .. c24 of what was synthesised, as a distance in dB
    difference = again[middle, 2:26] - coded[middle, 2:26]
    distance = 10 / np.log(10) * np.sqrt(2 * (difference**2).sum(axis=1)).mean()
    assert distance < 2.0

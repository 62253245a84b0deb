"""Noise that is a function of its place: as random as noise, and the same from everywhere."""

import numpy as np
import pytest
import torch

from vctool.nn import hash_noise

COUNT = 2**18
PLACES = torch.arange(COUNT)


@pytest.mark.parametrize(("seed", "stream"), [(0, 0), (1, 0), (0, 1), (-5, 2**40)])
def test_it_is_white_and_normal(seed: int, stream: int) -> None:
    noise = hash_noise.normal(PLACES, seed, stream).double().numpy()
    error = COUNT**-0.5
    assert abs(noise.mean()) < 4 * error
    assert abs(noise.var() - 1) < 4 * 2**0.5 * error
    assert abs((noise**3).mean()) < 4 * 15**0.5 * error
    assert abs((noise**4).mean() - 3) < 4 * 96**0.5 * error
    power = np.abs(np.fft.rfft(noise)) ** 2 / COUNT
    assert power.max() < 25  # exponentially distributed: no tone stands out of it
    bands = power[1:].reshape(128, -1).mean(axis=1)
    assert abs(bands - 1).max() < 5 * (128 / (COUNT / 2)) ** 0.5


def test_every_bit_is_used_alike() -> None:
    for half in hash_noise.halves(PLACES.numpy(), 3, 4):
        for low in (half % 512, half // 2048):
            counts = np.bincount(low, minlength=512)
            chi = float(((counts - COUNT / 512) ** 2 / (COUNT / 512)).sum())
            assert abs(chi - 511) < 5 * (2 * 511) ** 0.5


@pytest.mark.parametrize("other", [(8, 2), (7, 3)])
def test_seeds_and_streams_are_independent_at_every_lag(other: tuple[int, int]) -> None:
    one, two = (hash_noise.normal(PLACES, *key).double().numpy() for key in ((7, 2), other))
    lags = np.fft.irfft(np.fft.rfft(one) * np.fft.rfft(two).conj()) / COUNT
    assert np.abs(lags).max() < 6 * COUNT**-0.5


def test_any_position_is_computable_alone() -> None:
    far = 44100 * 3600 * 20  # past 2^31
    noise = hash_noise.normal(far + PLACES, 1, 1)
    for place in (0, 17, 1000):
        start = torch.tensor([far + place])
        alone = hash_noise.normal(hash_noise.positions(start, 5), 1, 1)
        assert torch.equal(alone, noise[place : place + 5])
    uniform = hash_noise.uniform(far + PLACES, 1, 1)
    assert 0 < float(uniform.min()) < 1e-4 and 1 - 1e-4 < float(uniform.max()) < 1


def test_numpy_and_torch_agree() -> None:
    for of_torch, of_numpy in zip(
        hash_noise.halves(PLACES[:1000], 9, 9),
        hash_noise.halves(PLACES[:1000].numpy(), 9, 9),
        strict=True,
    ):
        np.testing.assert_array_equal(of_torch.numpy(), of_numpy)


def test_products_stay_below_2_to_the_63() -> None:
    """int64 that overflows is undefined in C, and so in whatever runs an exported graph."""
    top = hash_noise.HALF - 1
    for seed in range(50):
        for offset, factor in hash_noise.keys(seed, seed):
            assert 0 <= offset <= top and factor % 2 == 1 and factor < 2 * hash_noise.HALF
    assert (2 * hash_noise.HALF**2) * (2 * hash_noise.HALF) < 2**63
    assert top * top + top * top + top < 2**63

"""Noise by counter: random as far as statistics can tell, and the same wherever it is drawn."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from vctool.data.sampling import keyed_normal, keyed_uniform

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KEYS = torch.arange(256)  # neighbours, which a poor hash would let look alike
WORD = 1 << 64


def mixed(x: int) -> int:
    """The output function of SplitMix64, as its authors give it."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % WORD
    x = (x ^ x >> 27) * 0x94D049BB133111EB % WORD
    return x ^ x >> 31


def hashed(key: int, salt: int, index: int) -> int:
    golden = 0x9E3779B97F4A7C15
    start = mixed((key + salt * golden) % WORD)
    return mixed((start + (index + 1) * golden) % WORD)


def test_the_reference_is_splitmix64() -> None:
    golden = 0x9E3779B97F4A7C15
    numbers = [mixed((1234567 + (n + 1) * golden) % WORD) for n in range(3)]
    assert numbers == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("device", DEVICES)
def test_numbers_are_those_of_exact_integers(device: str) -> None:
    keys, salt = [0, 1, (1 << 62) - 1, 123456789], 3
    on = torch.tensor(keys, device=device)
    words = np.array([[hashed(key, salt, n) for n in range(8)] for key in keys], np.uint64)
    uniform = (words >> np.uint64(40)).astype(np.float64) / 2**24
    assert torch.equal(keyed_uniform(on, (8,), salt).double().cpu(), torch.from_numpy(uniform))
    high, low = words >> np.uint64(32), words & np.uint64(0xFFFFFFFF)
    radius = np.sqrt(-2 * np.log((high.astype(np.float64) + 0.5) / 2**32))
    angle = 2 * math.pi * low.astype(np.float64) / 2**32
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    drawn = keyed_normal(on, (2, 8), salt).double().cpu().view(len(keys), 16)
    torch.testing.assert_close(drawn, torch.from_numpy(normal), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("salt", [0, 1, 101])
def test_normal_numbers_have_the_moments_and_the_shape_of_normal_numbers(salt: int) -> None:
    drawn = keyed_normal(KEYS, (1024,), salt).flatten().double().numpy()
    error = len(drawn) ** -0.5  # standard error of the mean
    assert abs(drawn.mean()) < 4 * error
    assert abs(drawn.var() - 1) < 4 * math.sqrt(2) * error
    assert abs(stats.skew(drawn)) < 4 * math.sqrt(6) * error
    assert abs(stats.kurtosis(drawn)) < 4 * math.sqrt(24) * error
    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    assert 4.0 < abs(drawn).max() < 6.8


def test_uniform_numbers_fill_the_interval_evenly() -> None:
    drawn = keyed_uniform(KEYS, (1024,), 2).flatten().double().numpy()
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3
    assert drawn.min() >= 0 and drawn.max() < 1


@pytest.mark.parametrize("draw", [keyed_normal, keyed_uniform])
def test_examples_salts_and_places_are_independent(draw) -> None:
    noise = torch.stack([draw(KEYS, (512,), salt) for salt in (0, 1, 2)])  # (salt, key, place)
    rows = (noise - noise.mean()).flatten(0, 1)
    for table in (rows, rows.T, rows.abs(), rows.T.abs(), rows[:, 1:] * rows[:, :-1]):
        correlations = torch.corrcoef(table.double()).fill_diagonal_(0)
        # the largest of n^2 / 2 normal numbers hardly exceeds 6 standard errors
        assert correlations.abs().max() < 6 * table.shape[1] ** -0.5
        spread = (correlations * table.shape[1] ** 0.5).std()
        assert float(spread) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("draw", [keyed_normal, keyed_uniform])
@pytest.mark.parametrize("shape", [(), (1,), (7, 3), (33, 129)])
def test_a_share_of_a_batch_has_the_noise_of_the_whole(draw, shape, device: str) -> None:
    keys = torch.arange(6, device=device) * 7919
    whole = draw(keys, shape, 5)
    assert whole.shape == (6, *shape) and whole.dtype == torch.float32
    assert whole.device.type == device
    for share in (slice(0, 3), slice(3, 6), slice(2, 3)):
        assert torch.equal(draw(keys[share], shape, 5), whole[share])
    assert torch.equal(draw(keys.flip(0), shape, 5), whole.flip(0))


def test_the_number_of_threads_changes_nothing() -> None:
    before, drawn = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        drawn.append(keyed_normal(KEYS, (1001,), 5))
    torch.set_num_threads(before)
    assert torch.equal(*drawn)

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from vctool.errors import DataError
from vctool.features.settings import FeatureConfig
from vctool.features.stats import (
    LEAST_STD,
    SpeakerStats,
    estimate,
    f0_range,
    move_f0,
    move_log_f0,
    pool,
)

CONFIG = FeatureConfig()


def contour(mean: float, spread: float, frames: int, seed: int) -> np.ndarray:
    """Log-normal F0 with every third frame unvoiced."""
    f0 = np.exp(np.log(mean) + spread * np.random.default_rng(seed).standard_normal(frames))
    f0[::3] = 0
    return f0.astype(np.float32)


def test_statistics_are_of_voiced_frames_inside_the_range() -> None:
    f0 = contour(120, 0.2, 6000, 0)
    stats = estimate([f0[:1000], f0[1000:]], 20, 1000)
    assert stats.voiced_frames == 4000
    assert stats.log_f0_mean == pytest.approx(np.log(120), abs=0.01)
    assert stats.log_f0_std == pytest.approx(0.2, abs=0.01)
    assert estimate([np.array([100.0, 100, 300])], 80, 200).voiced_frames == 2


def test_the_range_is_the_voice_s_own_and_shrugs_off_octave_errors() -> None:
    f0 = contour(200, 0.1, 3000, 1)
    floor, ceil = f0_range([f0], CONFIG)
    assert 100 < floor < 125
    assert 345 < ceil < 395
    wrong = f0.copy()
    wrong[1:600:3] *= 2  # a tenth of the voiced frames
    assert f0_range([wrong], CONFIG) == pytest.approx((floor, ceil), rel=0.05)
    assert f0_range([np.array([70.0])], CONFIG)[0] == CONFIG.f0_floor
    assert f0_range([np.array([900.0])], CONFIG)[1] == CONFIG.f0_ceil


def test_f0_moves_to_the_new_mean_and_deviation_in_numpy_and_torch() -> None:
    f0 = contour(120, 0.2, 3000, 2)
    old = estimate([f0], 20, 1000)
    moved = move_f0(f0, old.log_f0_mean, old.log_f0_std, np.log(220.0), 0.1)
    np.testing.assert_array_equal(moved > 0, f0 > 0)
    new = estimate([moved], 20, 1000)
    assert new.log_f0_mean == pytest.approx(np.log(220.0), abs=1e-5)
    assert new.log_f0_std == pytest.approx(0.1, rel=1e-4)
    logs = torch.from_numpy(np.log(f0[f0 > 0]))
    there = move_log_f0(logs, old.log_f0_mean, old.log_f0_std, np.log(220.0), 0.1)
    np.testing.assert_allclose(there.exp().numpy(), moved[moved > 0], rtol=1e-5)


def test_a_singer_s_two_octaves_are_kept() -> None:
    notes = np.repeat([120.0, 150, 180, 200, 220, 240, 300, 400], [2, 10, 20, 25, 25, 20, 10, 3])
    floor, ceil = f0_range([notes], CONFIG)
    assert floor <= 120
    assert ceil >= 400


def test_pooling_equals_estimating_together() -> None:
    low, high = contour(110, 0.2, 900, 2), contour(240, 0.1, 3000, 3)
    together = estimate([low, high], 20, 1000)
    pooled = pool([estimate([low], 20, 600), estimate([high], 80, 1000)])
    assert pooled.model_dump() == pytest.approx(together.model_dump())


def test_a_monotone_voice_can_be_divided_by() -> None:
    assert estimate([np.full(10, 100.0)], 65, 1000).log_f0_std == LEAST_STD


def test_nothing_voiced_is_an_error_not_a_zero() -> None:
    for f0s in ([], [np.zeros(10)]):
        with pytest.raises(DataError, match="no voiced frame"):
            estimate(f0s, 65, 1000)
        with pytest.raises(DataError, match="no voiced frame"):
            f0_range(f0s, CONFIG)
    with pytest.raises(DataError, match="no voice"):
        pool([])
    with pytest.raises(ValidationError):
        SpeakerStats(log_f0_mean=5, log_f0_std=0, f0_floor=65, f0_ceil=400, voiced_frames=3)

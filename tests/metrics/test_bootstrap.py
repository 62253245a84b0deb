"""Intervals and gaps."""

import numpy as np
import pytest

from vctool.metrics import bootstrap


def test_paired_differences_are_sharper_than_unpaired_ones() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(0, 1, 60)
    better = base + 0.1 + 0.01 * rng.normal(0, 1, 60)
    counts = bootstrap.resample_counts(60, 500, 0)
    ones = np.ones(60)
    one, other = bootstrap.ratio(better, ones), bootstrap.ratio(base, ones)
    low, high = bootstrap.interval(one.draws(counts) - other.draws(counts))
    assert 0.09 < low < 0.1 < high < 0.11
    apart = bootstrap.resample_counts(60, 500, 1)
    low, high = bootstrap.interval(one.draws(counts) - other.draws(apart))
    assert low < 0 < high


def test_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for trial in range(200):
        pooled = bootstrap.ratio(rng.normal(2, 1, 50), np.ones(50))
        draws = pooled.draws(bootstrap.resample_counts(50, 200, trial))
        low, high = bootstrap.interval(bootstrap.centred(draws, pooled.value))
        inside += low <= 2 <= high
    assert 0.88 <= inside / 200 <= 0.99


def test_gap_closed_counts_overshoot_like_shortfall() -> None:
    model = np.array([0.1, 0.7, 0.4, 1.0])
    closed = bootstrap.gap_closed(model, np.full(4, 0.1), np.full(4, 0.7))
    np.testing.assert_allclose(closed, [0.0, 1.0, 0.5, 0.5])
    assert np.isnan(bootstrap.gap_closed(*np.ones((3, 1))))


def test_earth_mover_counts_bins_moved() -> None:
    moved = bootstrap.earth_mover(np.eye(5)[[3, 3]], np.eye(5)[1], 10.0)
    assert moved.value == pytest.approx(20.0)


def test_what_utterances_are_compared_with_is_drawn_too() -> None:
    rng = np.random.default_rng(2)
    ones, own, other = np.ones(40), rng.normal(0, 1, 40), rng.normal(0, 1, 10)

    def difference(totals: np.ndarray) -> np.ndarray:
        return np.asarray(totals[:, 0] / totals[:, 1] - totals[:, 2] / totals[:, 3])

    sums, against = np.column_stack([own, ones]), np.column_stack([other, np.ones(10)])
    both = bootstrap.Pooled(sums, difference, against)
    assert both.value == pytest.approx(own.mean() - other.mean())
    counts = bootstrap.resample_counts(40, 2000, 0)
    expected = np.sqrt(own.var() / 40 + other.var() / 10)
    assert both.draws(counts).std() == pytest.approx(expected, rel=0.1)
    # another system that is compared with the same recordings meets the same draws of them
    worse = bootstrap.Pooled(np.column_stack([own + 1, ones]), difference, against)
    np.testing.assert_allclose(worse.draws(counts) - both.draws(counts), 1.0)

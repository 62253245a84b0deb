"""Intervals by resampling utterances, paired between systems.

Every measure here is a function of sums over utterances: a share is one sum over another, the
Frechet distance a function of the count, the first and the second moments. So one matrix of
multinomial counts (how often each utterance is drawn) resamples every measure of every system at
once, and two systems measured on the same utterances share their draws. What they are compared with
is a sample too where a measure says so (`Pooled.against`), and is drawn besides.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

AGAINST_SEED = 2**32 - 1
"""Of the draws of what utterances are compared with; apart from those of the utterances."""
LEVEL = 0.95
"""Coverage of every interval (percentile bootstrap, Efron 1979)."""


@dataclass(frozen=True)
class Pooled:
    """A measure as sums over utterances and what to do with them."""

    sums: np.ndarray
    """(N, K) contribution of every utterance."""
    finish: Callable[[np.ndarray], np.ndarray]
    """Turns totals (R, K + L) into values (R,)."""
    against: np.ndarray | None = None
    """(M, L) contributions of the recordings that the utterances are compared with, where these are
    resampled too; systems that are compared with the same ones share their draws."""

    @property
    def value(self) -> float:
        """The measure over all utterances."""
        totals = self.sums.sum(axis=0, keepdims=True)
        if self.against is not None:
            totals = np.concatenate([totals, self.against.sum(axis=0, keepdims=True)], axis=1)
        return float(self.finish(totals)[0])

    def draws(self, counts: np.ndarray) -> np.ndarray:
        """Return the measure of every resample: counts (R, N) -> (R,)."""
        assert counts.shape[1] == len(self.sums), (counts.shape, self.sums.shape)
        totals = counts @ self.sums
        if self.against is not None:
            drawn = resample_counts(len(self.against), len(counts), AGAINST_SEED)
            totals = np.concatenate([totals, drawn @ self.against], axis=1)
        return self.finish(totals)


def ratio(numerators: np.ndarray, denominators: np.ndarray) -> Pooled:
    """Make a measure that is one sum over another; NaN where the lower one is 0."""

    def finish(totals: np.ndarray) -> np.ndarray:
        lower = totals[:, 1]
        return np.where(lower > 0, totals[:, 0] / np.where(lower > 0, lower, 1.0), np.nan)

    return Pooled(np.stack([numerators, denominators], axis=1).astype(float), finish)


def difference_of_ratios(first: np.ndarray, second: np.ndarray) -> Pooled:
    """Make a measure that is one ratio less another; each (N, 2): numerators, denominators."""

    def finish(totals: np.ndarray) -> np.ndarray:
        lower = np.where(totals[:, 1::2] > 0, totals[:, 1::2], np.nan)
        shares = totals[:, 0::2] / lower
        return np.asarray(shares[:, 0] - shares[:, 1])

    return Pooled(np.concatenate([first, second], axis=1).astype(float), finish)


def earth_mover(counts: np.ndarray, reference: np.ndarray, width: float) -> Pooled:
    """Make the 1-D earth mover's distance of pooled histograms to a reference histogram.

    Args:
        counts: (N, B) histogram of every utterance.
        reference: (B,) histogram of the reference.
        width: of a bin; the distance has its unit.
    """
    target = np.cumsum(reference / max(float(reference.sum()), 1e-12))

    def finish(totals: np.ndarray) -> np.ndarray:
        mass = totals.sum(axis=1, keepdims=True)
        shares = np.cumsum(totals / np.where(mass > 0, mass, np.nan), axis=1)
        return np.asarray(width * np.abs(shares - target).sum(axis=1))

    return Pooled(counts.astype(float), finish)


def resample_counts(utterances: int, resamples: int, seed: int) -> np.ndarray:
    """Draw utterances with replacement: (resamples, utterances) of how often each was drawn."""
    assert utterances > 0
    rng = np.random.default_rng(seed)
    return rng.multinomial(utterances, np.full(utterances, 1.0 / utterances), size=resamples)


def centred(draws: np.ndarray, value: float) -> np.ndarray:
    """Shift draws (R,) so that their mean is the value over all utterances.

    A resample repeats utterances, so it looks less varied than the whole and lies further from any
    reference: without the shift, the interval of a small distance would not even hold the value.
    """
    usable = draws[np.isfinite(draws)]
    return draws - (float(usable.mean()) - value) if usable.size else draws


def interval(draws: np.ndarray) -> tuple[float, float]:
    """Return the percentile interval of draws (R,); NaN draws (nothing to measure) are left out."""
    draws = draws[np.isfinite(draws)]
    if not draws.size:
        return float("nan"), float("nan")
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def gap_closed(model: np.ndarray, copy: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Compute the gap that a model closes from copy to real value; overshoot counts against it.

    `1 - |model - real| / |copy - real|`: 0 for the copy, 1 for the real; NaN where copy and real
    do not differ.
    """
    gap = np.abs(copy - real)
    return np.where(gap > 0, 1.0 - np.abs(model - real) / np.where(gap > 0, gap, 1.0), np.nan)

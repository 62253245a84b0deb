"""Interpolation of features between frames, for time-stretching."""

import numpy as np


def at_positions(
    values: np.ndarray, positions: np.ndarray, f0_column: int | None = None
) -> np.ndarray:
    """Interpolate features at fractional frame positions.

    All columns are interpolated linearly, except F0: between two voiced frames it is interpolated
    in log-frequency, and where either is unvoiced the nearer frame is taken, so that F0 does not
    glide towards 0 Hz at the edge of a vowel.

    Args:
        values: (F, D).
        positions: (F',) in [0, F - 1].
        f0_column: column that holds F0 [Hz], 0 where unvoiced; None where none does.

    Returns:
        (F', D) float32.
    """
    low = np.floor(positions).astype(np.int64)
    high = np.minimum(low + 1, len(values) - 1)
    share = (positions - low)[:, None]
    mixed = (1 - share) * values[low] + share * values[high]
    if f0_column is not None:
        low_f0, high_f0 = values[low, f0_column], values[high, f0_column]
        mixed[:, f0_column] = _between(low_f0, high_f0, share[:, 0])
    result: np.ndarray = mixed.astype(np.float32)
    return result


def _between(low: np.ndarray, high: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Interpolate F0 (F',) [Hz] from one frame to the next."""
    nearest = np.where(share < 0.5, low, high).astype(np.float64)
    both = (low > 0) & (high > 0)
    logs = (1 - share[both]) * np.log(low[both]) + share[both] * np.log(high[both])
    nearest[both] = np.exp(logs)
    return nearest

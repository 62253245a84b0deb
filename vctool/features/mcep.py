"""Mel-cepstra: a cosine series of the log amplitude over a warped frequency axis.

The first-order all-pass warps frequency w [rad] to (Oppenheim and Johnson, 1972)

    v(w) = w + 2 atan(alpha sin w / (1 - alpha cos w))

and a mel-cepstrum c_0 .. c_M stands for ln |H(w)| = c_0 + sum_m c_m cos(m v(w)) (Tokuda et al.,
1994). With alpha 0.42 at 16 kHz, v follows the mel scale. Coefficients are those of SPTK's `mgcep`
convention, so distances in dB compare with published ones.
"""

from functools import lru_cache

import numpy as np

LEAST_POWER = 1e-16
"""Power is raised to at least this before the logarithm: -160 dB."""


def warp(omega: np.ndarray, alpha: float) -> np.ndarray:
    """Warp angular frequency in 0..pi [rad] by the first-order all-pass; 0 and pi stay."""
    return np.asarray(omega + 2 * np.arctan2(alpha * np.sin(omega), 1 - alpha * np.cos(omega)))


def encode(power: np.ndarray, order: int, alpha: float) -> np.ndarray:
    """Fit mel-cepstra to power spectra.

    The fit is least squares of the log amplitude on the warped axis, so spectra that are exactly
    such a series are recovered exactly.

    Args:
        power: (F, bins) from 0 Hz to half the sampling rate.
        order: M, index of the highest coefficient.
        alpha: all-pass constant, 0 <= alpha < 1.

    Returns:
        (F, order + 1) float64.
    """
    log_amplitude = 0.5 * np.log(np.maximum(power, LEAST_POWER))
    return np.asarray(log_amplitude @ _matrices(power.shape[1], order, alpha)[1])


def decode(coefficients: np.ndarray, bins: int, alpha: float) -> np.ndarray:
    """Compute the power spectra (F, bins) of mel-cepstra (F, order + 1)."""
    series = _matrices(bins, coefficients.shape[1] - 1, alpha)[0]
    return np.asarray(np.exp(2.0 * (coefficients @ series)))


@lru_cache(maxsize=8)
def _matrices(bins: int, order: int, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosines (order + 1, bins) and their weighted pseudo-inverse (bins, order + 1)."""
    omega = np.linspace(0.0, np.pi, bins)
    warped = warp(omega, alpha)
    series = np.cos(np.arange(order + 1)[:, None] * warped)
    weights = np.gradient(warped)  # width of each bin on the warped axis
    weights[[0, -1]] *= 0.5
    weighted = series * weights
    return series, np.linalg.solve(weighted @ series.T, weighted).T

"""A voice whose pitch and envelope are known, for measures of waves."""

from collections.abc import Callable

import numpy as np
import pytest


def speak(seed: int = 0, hz: float = 120.0, seconds: float = 2.0, rate: int = 16000) -> np.ndarray:
    """Make a pulse train of gliding F0 through formants that move from vowel to vowel: (T,)."""
    rng = np.random.default_rng(seed)
    vowels = max(2, round(4 * seconds))
    samples = round(seconds * rate)
    moments = np.linspace(0.0, 1.0, vowels)
    at = np.linspace(0.0, 1.0, samples)
    f0 = hz * 2 ** np.interp(at, moments, rng.uniform(-0.2, 0.2, vowels))
    phase = np.cumsum(f0 / rate)
    wave = np.zeros(samples)
    ranges = ((300, 800, 60), (900, 2300, 90), (2500, 3000, 120), (3400, 4200, 200))
    formants = [
        (np.interp(at, moments, rng.uniform(low, high, vowels)), width)
        for low, high, width in ranges
    ]
    # Harmonics of a pulse train, each as strong as the tilt and the resonances let it be.
    for harmonic in range(1, int(rate / 2 / f0.max())):
        gain = sum(1 / (1 + ((harmonic * f0 - centre) / width) ** 2) for centre, width in formants)
        wave += (1 + gain) / harmonic * np.cos(2 * np.pi * harmonic * phase)
    wave += 1e-3 * rng.standard_normal(samples)
    fade = np.minimum(1.0, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / (0.03 * rate))
    return np.asarray(0.5 * fade * wave / np.abs(wave).max())


@pytest.fixture(scope="session")
def voice() -> Callable[..., np.ndarray]:
    """Makes waves: voice(seed, hz, seconds, rate) -> (T,), peak 0.5."""
    return speak

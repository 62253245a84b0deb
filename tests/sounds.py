"""Sounds that tests are made on: voices and notes whose pitch and envelope are known."""

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


RATE = 16000


def sine(seconds: float, hz: float, rate: int = RATE, peak: float = 0.2) -> np.ndarray:
    """One pure tone: (T,)."""
    return peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def buzz(seconds: float, hz: float, count: int, rate: int = RATE, fall: float = 1.0) -> np.ndarray:
    """`count` harmonics of one pitch, the k-th of peak 0.1 / k**fall: (T,)."""
    return sum(sine(seconds, k * hz, rate, 0.1 / k**fall) for k in range(1, count + 1))


def make_speech(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Syllables of a gliding harmonic voice around 120 Hz, with pauses between: (T,) float32."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    f0 = 120 * 2 ** (0.25 * np.sin(2 * np.pi * 0.7 * time + seed))
    phase = 2 * np.pi * np.cumsum(f0) / rate
    top = min(30, int(0.4 * rate / 160))
    wave = sum(np.sin(k * phase) / k for k in range(1, top))
    # Syllables last 0.3 s, pauses 0.1 s; breath noise runs through.
    gate = np.clip(8 * np.minimum(time % 0.4, 0.3 - time % 0.4) / 0.3, 0, 1)
    noisy = 0.1 * wave * gate + 1e-3 * rng.normal(size=len(time))
    return noisy.astype(np.float32)


def make_note(seconds: float, midi: float, rate: int = RATE) -> np.ndarray:
    """Three octaves of one pitch class: (T,) float32."""
    time = np.arange(round(seconds * rate)) / rate
    hz = 440 * 2 ** ((midi - 69) / 12)
    tones = (np.sin(2 * np.pi * hz * octave * time) for octave in (0.5, 1, 2))
    return (0.1 * sum(tones)).astype(np.float32)


@pytest.fixture(scope="session")
def voice() -> Callable[..., np.ndarray]:
    """Makes waves: voice(seed, hz, seconds, rate) -> (T,), peak 0.5."""
    return speak

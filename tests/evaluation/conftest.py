"""Speakers who differ by a fixed filter and by their pitch, and say the same sentences."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.sounds import voice
from tests.toy import features, files, note, save_toy, speech, toy_family

__all__ = ["features", "files", "note", "save_toy", "speech", "toy_family", "voice"]

RATE = 16000
INTONATION = {"low": (110.0, 1.0), "mid": (145.0, 1.1), "high": (185.0, 1.3)}
"""Mean pitch [Hz], and how far intonation goes, of every speaker."""


def speak(sentence: int, who: str, seconds: float = 1.2) -> np.ndarray:
    """Voiced sound whose envelope changes every tenth of a second, between two pauses: (T,)."""
    rng = np.random.default_rng(sentence)
    mean, range_ = INTONATION[who]
    samples = round(seconds * RATE)
    knots = rng.uniform(-0.25, 0.25, 6)
    curve = np.interp(np.linspace(0, 5, samples), np.arange(6), knots)
    pulses = np.diff(np.floor(np.cumsum(mean * 2 ** (range_ * curve) / RATE)), prepend=0.0)
    pieces = []
    for piece in np.array_split(pulses, round(10 * seconds)):
        gains = np.interp(np.linspace(0, 8, 1 + len(piece) // 2), np.arange(9), rng.normal(0, 1, 9))
        pieces.append(np.fft.irfft(np.fft.rfft(piece) * np.exp(gains), len(piece)))
    wave = np.concatenate([np.zeros(RATE // 10), *pieces, np.zeros(RATE // 10)])
    if who != "low":  # another mouth: one filter for all that is said
        wave = np.convolve(wave, [1.0, -0.8, 0.3], mode="same")
    wave = wave + 1e-4 * np.abs(wave).max() * rng.standard_normal(len(wave))
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


@pytest.fixture(scope="session")
def say() -> Callable[..., np.ndarray]:
    """Makes waves: say(sentence, "low", "mid" or "high", seconds) -> (T,), 16 kHz, peak 0.5."""
    return speak


@pytest.fixture
def no_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the networks that judge voices, which take seconds for every recording."""
    import sys

    for package in ("resemblyzer", "distillmos", "speechmos"):
        monkeypatch.setitem(sys.modules, package, None)

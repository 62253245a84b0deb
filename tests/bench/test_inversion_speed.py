"""Mel inversion and Griffin-Lim beside librosa's, and the analyses' real-time factors.

Ratios are of runs that take turns, on one thread; run with `python -m pytest tests/bench -s`.
"""

import time
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from vctool.features import chroma, mel, world
from vctool.features.settings import FeatureConfig
from vctool.vocoders.griffin_lim import Vocoder

CONFIG = FeatureConfig()
CHUNK = 256 * CONFIG.hop_length
"""The published system inverts chunk by chunk."""


def voice(seconds: float = 6.0) -> np.ndarray:
    """A gliding, vibrating vowel-like sound with breath and pauses."""
    random = np.random.default_rng(0)
    time_axis = np.arange(int(seconds * CONFIG.rate)) / CONFIG.rate
    f0 = 180 * 2 ** (0.3 * np.sin(2 * np.pi * 0.4 * time_axis))
    f0 *= 1 + 0.02 * np.sin(2 * np.pi * 5.5 * time_axis)
    phase = 2 * np.pi * np.cumsum(f0) / CONFIG.rate
    wave = np.zeros_like(time_axis)
    for order in range(1, 60):
        resonance = sum(
            strength / (1 + ((order * f0 - centre) / width) ** 2)
            for centre, width, strength in ((600, 120, 1), (1300, 180, 0.5), (2900, 300, 0.25))
        )
        wave += resonance * np.sin(order * phase)
    gate = np.clip(4 * np.sin(2 * np.pi * 0.7 * time_axis) + 2, 0, 1)
    wave = 0.1 * gate * wave + 0.002 * random.standard_normal(len(time_axis))
    return wave.astype(np.float32)


def real_voices(folder: Path) -> list[np.ndarray]:
    paths = sorted(folder.glob("RAVDESS/*/*/*.wav"))[::8][:3]
    return [librosa.load(path, sr=CONFIG.rate)[0] for path in paths]


def timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def reference(level: np.ndarray) -> np.ndarray:
    """Invert as published: librosa, chunk by chunk."""
    chunks = []
    for begin in range(0, len(level), 256):
        power = librosa.db_to_power(level[begin : begin + 256].T)
        magnitude = librosa.feature.inverse.mel_to_stft(power, sr=CONFIG.rate)
        chunks.append(librosa.griffinlim(magnitude, n_iter=32, hop_length=CONFIG.hop_length))
    return np.concatenate(chunks)


def convergence(wave: np.ndarray, truth: np.ndarray) -> float:
    """Spectral convergence: distance of STFT magnitudes over the norm of the true ones."""
    true, got = (np.abs(librosa.stft(part[: len(truth)])) for part in (truth, wave))
    frames = min(true.shape[1], got.shape[1])
    return float(np.linalg.norm(got[:, :frames] - true[:, :frames]) / np.linalg.norm(true))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("source", ["synthetic", "real"])
def test_mel_inversion_and_griffin_lim(source: str, request: pytest.FixtureRequest) -> None:
    waves = [voice()]
    if source == "real":
        waves = real_voices(request.getfixturevalue("shared_data"))
    vocoder = Vocoder()
    theirs, ours, their_error, our_error = 0.0, 0.0, 0.0, 0.0
    vocoder.synthesise({"mel": mel.log_mel(waves[0], CONFIG)}, CONFIG, len(waves[0]))
    reference(mel.log_mel(waves[0][:CHUNK], CONFIG)[:20])
    for wave in waves:
        wave = wave[: len(wave) // CHUNK * CHUNK] if len(wave) > CHUNK else wave
        level = mel.log_mel(wave, CONFIG)[: max(1, len(wave) // CONFIG.hop_length)]
        for _ in range(2):
            slow, seconds = timed(lambda level=level: reference(level))
            theirs += seconds / 2
            fast, seconds = timed(
                lambda level=level, wave=wave: vocoder.synthesise({"mel": level}, CONFIG, len(wave))
            )
            ours += seconds / 2
        their_error += convergence(slow, wave) / len(waves)
        our_error += convergence(fast, wave) / len(waves)
    length = sum(map(len, waves)) / CONFIG.rate
    print(
        f"\n{source}: mel inversion and Griffin-Lim, real-time factor "
        f"{theirs / length:.3f} librosa, "
        f"{ours / length:.3f} ours: {theirs / ours:.1f} times less; "
        f"spectral convergence {their_error:.3f} librosa, {our_error:.3f} ours"
    )
    assert our_error <= their_error


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_analysis_speed(rate: int) -> None:
    hop, size = {16000: (192, 1024), 22050: (256, 1024), 44100: (512, 2048)}[rate]
    config = FeatureConfig(rate=rate, hop_length=hop, n_fft=size, chroma_n_fft=2 * size)
    wave = librosa.resample(voice(4.0), orig_sr=CONFIG.rate, target_sr=rate)
    works: dict[str, Callable[[], np.ndarray]] = {
        "mel": lambda: mel.log_mel(wave, config),
        "chroma": lambda: chroma.chroma(wave, config),
        "world": lambda: world.analyse(wave, config),
        "F0 alone": lambda: world.estimate_f0(wave, config),
    }
    told = []
    for name, work in works.items():
        work()
        result, seconds = timed(work)
        assert np.isfinite(result).all()
        told.append(f"{name} {seconds * rate / len(wave):.4f}")
    print(f"\n{rate} Hz: real-time factors: {', '.join(told)}")

"""From speech and accompaniment waves to a 44.1 kHz wave: the published path beside ours.

The published path: librosa's mel, chunks of 256 frames through the network in float32, librosa's
`mel_to_stft` and 32 iterations of its `griffinlim` for every chunk, chunks put end to end. It runs
the same network as ours, untrained; `residual` makes what it says about the input sound like a
voice, where a network without training would say the same of every frame.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import torch

from vctool.features.settings import FeatureConfig
from vctool.inference.converter import Converter
from vctool.models.base import System
from vctool.models.vocal_cyclegan.generator import Bottleneck
from vctool.models.vocal_cyclegan.streams import level, to_channels

CHUNK = 256
CONFIG = FeatureConfig()
CHUNKS = int(os.environ.get("VCTOOL_BENCH_CHUNKS", "8"))
# On a busy machine two threads spin while they wait for each other; CPU seconds of one are fair.
THREADS = int(os.environ.get("VCTOOL_BENCH_THREADS", "2"))
ROUNDS = int(os.environ.get("VCTOOL_BENCH_ROUNDS", "2"))
TARGETS = {"published": 5, "default": 10}
"""Times less than the published path that ours is to take."""


@pytest.fixture(scope="module")
def sound(material: Any) -> tuple[np.ndarray, np.ndarray]:
    """Speech of whole chunks and an accompaniment as long, at 44.1 kHz."""
    length = CHUNKS * CHUNK * CONFIG.hop_length
    speech = np.concatenate(material.speech)[:length]
    return speech, np.concatenate(material.accompaniments)[:length]


@pytest.fixture(scope="module")
def converters(experiments: Callable[..., Path]) -> dict[str, Converter]:
    return {
        "published": Converter(experiments("published", "44k", residual=True), "cpu"),
        "default": Converter(experiments("default", "44k"), "cpu"),
    }


def published(system: System, speech: np.ndarray, accomp: np.ndarray) -> tuple[np.ndarray, Any]:
    """Convert as published: (T,) float32 and the converted mel (F, n_mels) [dB]."""
    voice, under = (_librosa_mel(wave) for wave in (speech, accomp))
    frames = len(voice) // CHUNK * CHUNK
    voice, under = voice[:frames], under[:frames]
    gain = level(voice)
    chroma = np.full((frames, 12), 1 / 12, np.float32)  # which is not the published path's to find
    condition = np.concatenate([under - level(under), chroma], axis=1)
    inputs = _chunks(to_channels(voice, system.layout, CONFIG)), _chunks(condition)
    with torch.inference_mode():
        made = system.to_singing(
            *inputs,
            system.domains["speech"],
            system.domains["singing"],
            system.shared,
            Bottleneck.quiet(0.0, inputs[0]),
        ).spectrum
    waves = []
    for chunk in made.numpy() + gain:
        magnitude = librosa.feature.inverse.mel_to_stft(
            librosa.db_to_power(chunk), sr=CONFIG.rate, n_fft=CONFIG.n_fft
        )
        waves.append(librosa.griffinlim(magnitude, n_iter=32, hop_length=CONFIG.hop_length))
    wave = np.concatenate(waves)
    converted = made.numpy().transpose(0, 2, 1).reshape(frames, -1) + gain
    return wave / max(1.0, float(np.abs(wave).max())), converted


def _librosa_mel(wave: np.ndarray) -> np.ndarray:
    power = librosa.feature.melspectrogram(y=wave, sr=CONFIG.rate)
    result: np.ndarray = librosa.power_to_db(power, ref=1.0).T
    return result


def _chunks(channels: np.ndarray) -> torch.Tensor:
    whole = channels.reshape(-1, CHUNK, channels.shape[1]).transpose(0, 2, 1)
    return torch.from_numpy(np.ascontiguousarray(whole, dtype=np.float32))


def own_mel(converter: Converter, speech: np.ndarray, accomp: np.ndarray) -> np.ndarray:
    """Return the mel (F, n_mels) [dB] that our path turns into sound."""
    features: list[np.ndarray] = []
    keep = converter.infer

    def spy(*arguments: Any) -> Any:
        made = keep(*arguments)
        features.append(made["mel"])
        return made

    converter.infer = spy  # type: ignore[method-assign]
    try:
        converter.convert(speech, CONFIG.rate, accomp, CONFIG.rate)
    finally:
        converter.infer = keep  # type: ignore[method-assign]
    return features[0]


def convergence(wave: np.ndarray, converted: np.ndarray) -> float:
    """Spectral convergence of a wave of any gain to the mel magnitudes that it was made from."""
    wanted = np.sqrt(librosa.db_to_power(converted.T))
    got = np.sqrt(librosa.feature.melspectrogram(y=wave, sr=CONFIG.rate))
    frames = min(wanted.shape[1], got.shape[1])
    wanted, got = wanted[:, :frames], got[:, :frames]
    got = got * (np.vdot(got, wanted) / np.vdot(got, got))
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))


def test_conversion_speed(
    sound: tuple[np.ndarray, np.ndarray],
    converters: dict[str, Converter],
    measured: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Targets: 5 times less at the published size, and no worse an inversion; 10 by default."""
    torch.set_num_threads(THREADS)
    speech, accomp = sound
    system = converters["published"].system
    works: dict[str, Callable[[], object]] = {
        "reference": lambda: published(system, speech, accomp)
    }
    for name, converter in converters.items():
        works[name] = lambda c=converter: c.convert(speech, CONFIG.rate, accomp, CONFIG.rate)
    costs = measured(works, ROUNDS)
    seconds = len(speech) / CONFIG.rate
    theirs = convergence(*published(system, speech, accomp))
    wave, rate = converters["published"].convert(speech, CONFIG.rate, accomp, CONFIG.rate)
    ours = convergence(wave, own_mel(converters["published"], speech, accomp))
    with capsys.disabled():
        print(f"\nconversion of {seconds:.0f} s, untrained weights, {THREADS} threads:")
        for name, cost in costs.least.items():
            print(f"  {name}: real-time factor {cost.wall / seconds:.3f}, ", end="")
            print(f"CPU {cost.cpu / seconds:.3f}", end="")
            if name in TARGETS:
                print(f"; {costs.ratio(name, 'reference')} (target {TARGETS[name]})", end="")
            print()
        print(
            f"  spectral convergence to the converted mel: {theirs:.3f} reference, {ours:.3f} ours"
        )
    assert rate == CONFIG.rate and len(wave) == len(speech)
    assert ours <= theirs

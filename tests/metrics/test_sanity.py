from pathlib import Path

import numpy as np
import pytest

from tests.sounds import buzz
from vctool import audio
from vctool.metrics.sanity import TONAL_SIMILARITY, band_distance, oddities, tonality

RATE = 16000
TIME = np.arange(3 * RATE) / RATE


def voice(f0: float, seed: int) -> np.ndarray:
    """A gliding harmonic voice through a formant that wanders, 0.1 at most."""
    rng = np.random.default_rng(seed)
    glide = np.interp(TIME, np.linspace(0, 3, 8), f0 * 2 ** rng.uniform(-0.5, 0.5, 8))
    formant = np.interp(TIME, np.linspace(0, 3, 12), rng.uniform(400, 2500, 12))
    phase = 2 * np.pi * np.cumsum(glide) / RATE
    tones = [np.sin(k * phase) / (1 + ((k * glide - formant) / 300) ** 2) for k in range(1, 25)]
    wave = sum(tones) + 0.01 * rng.standard_normal(len(TIME))
    return np.asarray(0.1 * wave / np.abs(wave).max())


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return voice(150, 0)


def test_a_sound_output_raises_nothing(speech: np.ndarray) -> None:
    assert oddities(voice(220, 1), speech) == []


def test_each_fault_is_named(speech: np.ndarray) -> None:
    good = voice(220, 1)
    swell = 1 + 0.5 * np.sin(2 * np.pi * 3 * TIME)
    drone = 0.5 * buzz(3.0, 150, 19) * swell  # loud and soft, one tone still
    assert oddities(np.zeros_like(speech), speech)[0].startswith("silent: ")
    assert oddities(1e-3 * good, speech)[0].startswith("silent: ")
    assert oddities(20 * good, speech)[0].startswith("clipped: ")
    assert oddities(drone, speech) == ["tonal: one tone throughout (similarity of frames 1.00)"]
    broken = good.copy()
    broken[7] = np.nan
    assert oddities(broken, speech) == ["1 samples are not finite"]


@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_an_unconverted_input_is_named_at_any_level(speech: np.ndarray, gain: float) -> None:
    hiss = 1e-6 * np.random.default_rng(1).standard_normal(len(speech))
    (line,) = oddities(gain * speech + hiss, speech)
    assert line.startswith("equal to its input: ")


def test_silence_from_silence_is_as_it_should_be() -> None:
    silence = np.zeros(8000)
    assert oddities(silence, silence) == []


def test_white_noise_lies_between_voices_and_tones() -> None:
    noise = np.random.default_rng(0).standard_normal(RATE)
    assert tonality(noise) == pytest.approx(np.sqrt(np.pi / 4), abs=0.01)
    assert tonality(noise) < TONAL_SIMILARITY


def test_waves_shorter_than_a_window_are_judged_too() -> None:
    wave = 0.1 * np.sin(np.arange(160) / 3)
    assert 0 <= tonality(wave) <= 1
    assert band_distance(wave, wave) == 0


def test_real_singing_is_no_tone(shared_data: Path) -> None:
    files = sorted((shared_data / "MIR-1K" / "Wavfile").glob("*.wav"))[::8]
    assert files
    similarities = [tonality(audio.read(path, RATE, channel=1)[0]) for path in files]
    assert max(similarities) < 0.85

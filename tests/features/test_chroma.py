import numpy as np
import pytest

from vctool.features.chroma import chroma, hz_to_midi, smooth, strongest
from vctool.features.settings import FeatureConfig

CONFIGS = [
    FeatureConfig(rate=16000, n_fft=1024, hop_length=192, chroma_n_fft=4096),
    FeatureConfig(rate=44100, chroma_n_fft=8192),
]


def notes(midi: list[int], config: FeatureConfig, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(int(seconds * config.rate)) / config.rate
    hz = 440 * 2 ** ((np.array(midi) - 69) / 12)
    return (0.1 * np.sin(2 * np.pi * hz[:, None] * time).sum(axis=0)).astype(np.float32)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config.rate))
@pytest.mark.parametrize("midi", range(48, 84, 5))
def test_a_note_falls_into_its_own_class(config: FeatureConfig, midi: int) -> None:
    middle = chroma(notes([midi], config), config)[30]
    assert middle.argmax() == midi % 12
    assert middle.max() > 0.6


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config.rate))
def test_a_chord_shows_its_three_notes(config: FeatureConfig) -> None:
    weights = chroma(notes([57, 60, 64], config), config)
    assert weights.shape == (config.frames(config.rate), 12)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    mask = strongest(weights, 3)[20:-20]
    assert (mask == np.isin(np.arange(12), [0, 4, 9])).all()


def test_silence_has_every_class_alike_and_level_does_not_matter() -> None:
    config = CONFIGS[0]
    wave = np.zeros(8000, np.float32)
    np.testing.assert_allclose(chroma(wave, config), 1 / 12)
    assert chroma(wave[:1], config).shape == (1, 12)
    tone = notes([60], config)
    np.testing.assert_allclose(chroma(tone, config), chroma(0.01 * tone, config), atol=1e-4)


def test_smoothing_averages_over_a_centred_window() -> None:
    weights = np.eye(12, dtype=np.float32)[:7]
    result = smooth(weights, 3)
    np.testing.assert_allclose(result[3, 2:5], 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(result[0, :2], 1 / 2, rtol=1e-6)
    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(smooth(weights, 1), weights)


def test_midi_numbers() -> None:
    np.testing.assert_allclose(hz_to_midi([440, 880, 261.6256]), [69, 81, 60], atol=1e-5)

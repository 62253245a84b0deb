import librosa
import numpy as np
import pytest
import torch
import torchaudio

from vctool.features.mel import (
    MelInversion,
    hz_to_mel,
    log_mel,
    mel_filterbank,
    mel_power,
    mel_to_hz,
    power_to_db,
)
from vctool.features.settings import FeatureConfig

CONFIGS = [
    FeatureConfig(),
    FeatureConfig(rate=22050, n_fft=1024, hop_length=256, n_mels=80),
    FeatureConfig(rate=16000, n_fft=1024, hop_length=192, n_mels=80, f_min=60, f_max=7600),
    FeatureConfig(rate=24000, n_fft=2048, win_length=800, hop_length=200, f_min=40, mel_power=1),
]


def sound(config: FeatureConfig, seconds: float = 1.0) -> np.ndarray:
    """A decaying chord in faint noise: quiet and loud bins, quiet and loud frames."""
    time = np.arange(int(seconds * config.rate)) / config.rate
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (220, 277, 1330, 4000))
    noise = 1e-4 * np.random.default_rng(0).standard_normal(len(time))
    return (0.1 * chord * np.exp(-3 * time) + noise).astype(np.float32)


def reference(wave: np.ndarray, config: FeatureConfig) -> np.ndarray:
    power = librosa.feature.melspectrogram(
        y=wave,
        sr=config.rate,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        n_mels=config.n_mels,
        fmin=config.f_min,
        fmax=config.f_max,
        win_length=config.window,
        power=config.mel_power,
    )
    to_db = librosa.power_to_db if config.mel_power == 2 else librosa.amplitude_to_db
    return to_db(power, top_db=config.top_db).T


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config.rate))
def test_filterbank_equals_librosa(config: FeatureConfig) -> None:
    expected = librosa.filters.mel(
        sr=config.rate,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.f_min,
        fmax=config.f_max,
    )
    np.testing.assert_allclose(mel_filterbank(config).numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config.rate))
@pytest.mark.parametrize("seconds", [1.0, 0.01])
@pytest.mark.filterwarnings("ignore:n_fft=.* is too large:UserWarning")  # librosa's, at 0.01 s
def test_log_mel_equals_librosa(config: FeatureConfig, seconds: float) -> None:
    wave = sound(config, seconds)
    result = log_mel(wave, config)
    assert result.dtype == np.float32
    assert result.shape == (config.frames(len(wave)), config.n_mels)
    # 80 dB below the maximum, float32 transforms differ in their last digits.
    np.testing.assert_allclose(result, reference(wave, config), atol=0.02)
    np.testing.assert_array_equal(log_mel(torch.from_numpy(wave), config), result)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config.rate))
def test_power_and_its_gradient_equal_those_of_torchaudio(config: FeatureConfig) -> None:
    transform = torchaudio.transforms.MelSpectrogram(
        sample_rate=config.rate,
        n_fft=config.n_fft,
        win_length=config.window,
        hop_length=config.hop_length,
        f_min=config.f_min,
        f_max=config.f_max,
        n_mels=config.n_mels,
        pad_mode="constant",
        power=float(config.mel_power),
        norm="slaney",
        mel_scale="slaney",
    )
    levels, gradients = [], []
    for made in (lambda wave: mel_power(wave, config), transform):
        wave = torch.from_numpy(sound(config, 0.3)).requires_grad_()
        power = made(wave)
        if made is transform and config.mel_power == 1:
            power = power.square()
        level = power_to_db(power)
        level.sum().backward()
        levels.append(level.detach())
        gradients.append(wave.grad)
    # torchaudio's triangles are computed in float32
    torch.testing.assert_close(*levels, atol=0.02, rtol=0)
    error = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    assert error < 1e-3


def test_silence_and_one_sample_are_at_the_floor() -> None:
    config = CONFIGS[1]
    for samples in (1, 5000):
        level = log_mel(np.zeros(samples, np.float32), config)
        assert level.shape == (config.frames(samples), 80)
        assert (level == -100).all()


def test_every_utterance_has_its_own_floor() -> None:
    config = CONFIGS[1]
    wave = torch.from_numpy(sound(config))
    batch = torch.stack([wave, 0.1 * wave])
    level = power_to_db(mel_power(batch, config), config.top_db)
    for row, single in zip(level, batch, strict=True):
        np.testing.assert_allclose(row.T.numpy(), log_mel(single, config), atol=1e-3)


def test_a_frame_is_centred_on_its_sample() -> None:
    config = CONFIGS[1]
    wave = np.zeros(20 * config.hop_length, np.float32)
    wave[7 * config.hop_length] = 1
    assert log_mel(wave, config).sum(axis=1).argmax() == 7


def test_mel_power_hands_gradients_through() -> None:
    wave = torch.from_numpy(sound(CONFIGS[1], 0.1)).requires_grad_()
    mel_power(wave, CONFIGS[1]).sum().backward()
    assert wave.grad is not None
    assert wave.grad.abs().max() > 0


def test_the_mel_scale_inverts() -> None:
    hz = np.array([0.0, 40, 999, 1000, 1001, 8000, 22050])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz)), hz, atol=1e-9)
    np.testing.assert_allclose(hz_to_mel(hz), librosa.hz_to_mel(hz), atol=1e-9)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config.rate))
def test_inversion_explains_the_mel_and_is_zero_outside_it(config: FeatureConfig) -> None:
    level = log_mel(sound(config), config)
    magnitude = MelInversion(config)(torch.from_numpy(level))
    assert magnitude.shape == (1 + config.n_fft // 2, len(level))
    filters, exponent = mel_filterbank(config), config.mel_power
    again = power_to_db((filters @ magnitude**exponent) ** (2 / exponent)).T.numpy()
    # Triangles narrower than a bin catch nothing, so nothing explains them.
    caught = (filters.sum(dim=1) > 0).numpy()
    assert np.abs(again - np.maximum(level, -100))[:, caught].mean() < 1.0
    assert (magnitude[filters.sum(dim=0) == 0] == 0).all()


def test_inversion_fits_better_than_librosa() -> None:
    config = CONFIGS[0]
    wave = sound(config, 0.5)
    level = log_mel(wave, config)
    power = 10 ** (level.T / 10)
    theirs = librosa.feature.inverse.mel_to_stft(power, sr=config.rate, n_fft=config.n_fft)
    ours = MelInversion(config)(torch.from_numpy(level)).numpy()
    true = np.abs(librosa.stft(wave, n_fft=config.n_fft, hop_length=config.hop_length))
    assert np.linalg.norm(ours - true) < np.linalg.norm(theirs - true)


def test_inversion_of_a_frame_does_not_depend_on_its_neighbours() -> None:
    config = CONFIGS[1]
    level = torch.from_numpy(log_mel(sound(config), config))
    inversion = MelInversion(config)
    together, alone = inversion(level)[:, 5:6], inversion(level[5:6])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)

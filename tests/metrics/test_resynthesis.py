"""Distances of a resynthesis: values that are known, and what they must not depend on."""

from collections.abc import Callable

import numpy as np
import pytest
import soxr
import torch

from vctool.metrics import resynthesis
from vctool.metrics.pitch import HOP
from vctool.metrics.resynthesis import aligned, log_spectral_distance, stft_distance

Voice = Callable[..., np.ndarray]


def lsd(output: np.ndarray, recording: np.ndarray, output_rate: int = 16000) -> float:
    return log_spectral_distance(*aligned(output, recording, output_rate, 16000))


def mr_stft(output: np.ndarray, recording: np.ndarray, output_rate: int = 16000) -> float:
    return stft_distance(*aligned(output, recording, output_rate, 16000))


def test_a_gain_that_is_known_per_band_is_the_log_spectral_distance() -> None:
    noise = np.random.default_rng(0).standard_normal(64000)
    spectrum = np.fft.rfft(noise)
    gain_db = np.where(np.arange(len(spectrum)) < len(spectrum) // 2, 6.0, -6.0)
    output = np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(noise))
    # Equal energy takes off the mean power, 10 log10((10^.6 + 10^-.6) / 2) = 3.25 dB; left are
    # 2.75 dB in the bins up to 4 kHz and -9.25 dB in those from there to 7.6 kHz.
    common = 10 * np.log10((10**0.6 + 10**-0.6) / 2)
    low = 4.0 / 7.6
    expected = np.sqrt(low * (6 - common) ** 2 + (1 - low) * (-6 - common) ** 2)
    assert lsd(output, noise) == pytest.approx(expected, rel=0.01)


def test_the_stft_distance_is_that_of_its_formula(voice: Voice) -> None:
    recording, output = voice(0), voice(1)
    a, b = aligned(output, recording, 16000, 16000)
    expected = []
    for n_fft in (512, 1024, 2048):
        window = torch.hann_window(n_fft, dtype=torch.float64)
        x, y = (
            torch.stft(
                torch.from_numpy(wave),
                n_fft,
                HOP,
                window=window,
                center=True,
                pad_mode="constant",
                return_complex=True,
            ).abs()
            for wave in (a, b)
        )
        x, y = (bins[: 1 + int(7600 / 16000 * n_fft)] for bins in (x, y))
        floor = y.max() * 1e-4
        x, y = x.clamp(min=floor), y.clamp(min=floor)
        expected.append((x - y).norm() / y.norm() + (x.log() - y.log()).abs().mean())
    assert mr_stft(output, recording) == pytest.approx(float(sum(expected) / 3), rel=1e-6)


@pytest.mark.parametrize("distance", [lsd, mr_stft])
def test_level_and_rate_change_nothing_and_a_copy_is_at_zero(
    distance: Callable[..., float], voice: Voice
) -> None:
    recording, other = voice(0), voice(1)
    assert distance(recording, recording) == 0
    assert distance(0.01 * recording, recording) == pytest.approx(0, abs=1e-9)
    assert distance(0.01 * other, 3 * recording) == pytest.approx(distance(other, recording))
    again = soxr.resample(recording, 16000, 48000)  # the same sound, sampled at another rate
    assert distance(again, recording, 48000) < 0.02 * distance(other, recording)


@pytest.mark.parametrize("distance", [lsd, mr_stft])
def test_what_is_in_the_wrong_place_is_wrong(distance: Callable[..., float], voice: Voice) -> None:
    recording = voice(0)
    found = [distance(np.roll(recording, shift), recording) for shift in (80, 800, 4800)]
    assert found[0] < found[1] < found[2]
    assert found[2] > 3 * found[0]


@pytest.mark.parametrize("distance", [lsd, mr_stft])
def test_more_noise_is_farther_and_silence_is_finite(
    distance: Callable[..., float], voice: Voice
) -> None:
    recording = voice(0)
    noise = np.random.default_rng(0).standard_normal(len(recording))
    found = [distance(recording + level * noise, recording) for level in (1e-3, 1e-2, 1e-1)]
    assert 0 < found[0] < found[1] < found[2]
    silent = np.zeros_like(recording)
    assert found[2] < distance(silent, recording) < 81
    assert np.isfinite(distance(recording, silent))


def test_pauses_do_not_count_in_the_log_spectral_distance(voice: Voice) -> None:
    recording, output = voice(0), voice(1)
    gap = np.zeros(16000)
    apart = lsd(np.concatenate([output, gap]), np.concatenate([recording, gap]))
    assert apart == pytest.approx(lsd(output, recording), rel=0.02)


def test_pooled_values_are_means_over_utterances(voice: Voice) -> None:
    recordings, outputs = [voice(0), voice(1)], [voice(2), voice(3)]
    found = resynthesis.pooled(outputs, recordings, 16000, 16000)
    for name, distance in (("lsd", lsd), ("mr_stft", mr_stft)):
        single = [distance(a, b) for a, b in zip(outputs, recordings, strict=True)]
        assert found[name].value == pytest.approx(np.mean(single))

"""Spectra of sound, linear and by pitch.

Powers are normalised so that a sine of amplitude a has the power a^2 in its own bin.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vctool.features.settings import FeatureConfig

PER_SEMITONE = 3
"""Bins of a semitone."""
PER_OCTAVE = 12 * PER_SEMITONE
LOWEST = 21
"""MIDI number of the lowest pitch: A0, 27.5 Hz."""
SEMITONES = 88
PITCHES = SEMITONES * PER_SEMITONE
"""Bins of pitch, from A0 to C8."""
FLOOR = 1e-7
"""Powers are told from each other down to this share of the level around: -70 dB."""
LEVEL_SECONDS = 1.5
"""Half width of the window that the level is measured in [s]."""
SILENCE = 1e-9
"""Least level: -90 dB of full scale."""


def frequencies(bins: int) -> np.ndarray:
    """Return the centres of bins by pitch [Hz]."""
    return 440.0 * 2.0 ** ((LOWEST - 69) / 12 + np.arange(bins) / PER_OCTAVE)


class Spectra(nn.Module):
    """The transforms of one setting of features; it has no weights.

    Args:
        config: the feature settings.
    """

    window: Tensor
    by_pitch: Tensor
    around: Tensor

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.n_fft, self.hop, self.size = config.n_fft, config.hop_length, config.window
        self.rate, self.bins = config.rate, 1 + config.n_fft // 2
        nyquist = 0.5 * config.rate
        self.log_bins = int(PER_OCTAVE * math.log2(nyquist / 27.5))
        """Bins by pitch up to half the rate."""
        window = torch.hann_window(self.size)
        self.register_buffer("window", window, persistent=False)
        self.scale = 2.0 / float(window.sum())
        self.register_buffer("by_pitch", self._by_pitch(), persistent=False)
        reach = max(1, round(LEVEL_SECONDS * config.rate / config.hop_length))
        around = torch.hann_window(2 * reach + 3)[1:-1]
        self.register_buffer("around", around, persistent=False)

    def _by_pitch(self) -> Tensor:
        """Triangles over the linear bins, each with a sum of 1: (log_bins, K) float32."""
        spacing = self.rate / self.n_fft
        bins = np.arange(self.bins) * spacing
        centre = frequencies(self.log_bins)[:, None]
        half = np.maximum(spacing, centre * (2 ** (1 / PER_OCTAVE) - 1))
        rows = np.maximum(0.0, 1.0 - np.abs(bins - centre) / half)
        return torch.from_numpy((rows / rows.sum(axis=1, keepdims=True)).astype(np.float32))

    def stft(self, wave: Tensor) -> Tensor:
        """Return complex spectra (B, K, F) of waves (B, T), F = 1 + T // hop."""
        return self.scale * torch.stft(
            wave,
            self.n_fft,
            self.hop,
            self.size,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )

    def inverse(self, spectrum: Tensor) -> Tensor:
        """Return the waves (B, (F - 1) * hop) nearest to complex spectra (B, K, F), F > 1."""
        return torch.istft(
            spectrum / self.scale, self.n_fft, self.hop, self.size, window=self.window, center=True
        )

    def padded(self, wave: Tensor) -> Tensor:
        """Add zeros to waves (B, T), so that windows beyond their end lie on whole hops."""
        after = -(-(wave.shape[1] + self.size // 2) // self.hop) * self.hop
        return functional.pad(wave, (0, after - wave.shape[1]))

    def power(self, wave: Tensor) -> Tensor:
        """Return power spectra (B, K, F) of waves (B, T)."""
        spectrum = self.stft(wave)
        return spectrum.real.square() + spectrum.imag.square()

    def level(self, power: Tensor) -> Tensor:
        """Return the power around every frame of power spectra (B, K, F): (B, 1, F)."""
        total = power.sum(dim=1, keepdim=True)
        kernel, reach = self.around[None, None], len(self.around) // 2
        mean = functional.conv1d(total, kernel, padding=reach)
        return mean / functional.conv1d(torch.ones_like(total), kernel, padding=reach) + SILENCE

    def logs(self, power: Tensor) -> Tensor:
        """Return powers (B, K, F) by pitch, in bel above `FLOOR`: (B, log_bins, F)."""
        return torch.log10(self.by_pitch @ power + FLOOR) - math.log10(FLOOR)


def to_wave(frames: Tensor) -> Tensor:
    """Join frames of sound (B, hop, F) so that frame k is centred on sample k * hop."""
    wave = frames.transpose(1, 2).flatten(1)
    return wave[:, frames.shape[1] // 2 :]

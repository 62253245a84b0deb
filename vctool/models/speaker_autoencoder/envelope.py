"""Spectral envelopes of single frames: mel-cepstra, and the spectra that they stand for."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from vctool.errors import ConfigError
from vctool.features.mel import hz_to_mel, mel_filterbank, mel_frequencies
from vctool.features.settings import FeatureConfig

FLOOR = 1e-8
"""Least mean power of a band of a spectrum: 107 dB below that of noise of unit variance."""


def banded(features: FeatureConfig) -> FeatureConfig:
    """Return settings of the same mel bands over frames of two hops."""
    return features.model_copy(
        update={"n_fft": 2 * features.hop_length, "win_length": None, "mel_power": 2}
    )


def places(features: FeatureConfig) -> Tensor:
    """Return where the bins of frames of two hops lie between the first and the last mel bin.

    (bins,) float64 from 0 to 1, evenly spaced on the mel scale.
    """
    edges = hz_to_mel(mel_frequencies(features))
    hz = np.linspace(0.0, features.rate / 2, features.hop_length + 1)
    place = (hz_to_mel(hz) - edges[1]) / (edges[-2] - edges[1])
    return torch.from_numpy(np.clip(place, 0.0, 1.0))


class Envelope(nn.Module):
    """Log powers of mel bands [nepers of amplitude], and their cosine series.

    Args:
        features: the feature settings; mel bands are theirs.
        order: coefficients beside c0.

    Raises:
        ConfigError: a band lies between the bins of the frames' spectra, or there are fewer bands
            than coefficients.
    """

    bank: Tensor
    series: Tensor
    curves: Tensor

    def __init__(self, features: FeatureConfig, order: int) -> None:
        super().__init__()
        if features.n_mels <= order:
            raise ConfigError(
                f"model.cepstra = {order} must be below features.n_mels = {features.n_mels}"
            )
        bank = mel_filterbank(banded(features)).double()
        if bool((bank.sum(dim=1) == 0).any()):
            raise ConfigError(
                f"features.n_mels = {features.n_mels}: a band lies between the bins of frames of "
                f"{2 * features.hop_length} samples; lower it, or raise features.hop_length"
            )
        count = features.n_mels
        centres = (torch.arange(count, dtype=torch.float64) + 0.5) / count
        rows = torch.arange(1, order + 1, dtype=torch.float64)[:, None]
        series = 2.0 / count * torch.cos(math.pi * rows * centres)
        curves = torch.cos(math.pi * rows * (places(features) * (count - 1) + 0.5) / count)
        bank = bank / bank.sum(dim=1, keepdim=True)
        self.register_buffer("bank", bank.T.float().contiguous(), persistent=False)
        self.register_buffer("series", series.T.float().contiguous(), persistent=False)
        self.register_buffer("curves", curves.float().contiguous(), persistent=False)

    def bands(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Return log amplitudes of bands (..., n_mels) of spectra (..., bins)."""
        power = (real.square() + imaginary.square()) @ self.bank
        return 0.5 * power.clamp_min(FLOOR).log()

    def cepstra(self, bands: Tensor) -> Tensor:
        """Return c1... (..., order) of bands."""
        return bands @ self.series

    def curve(self, cepstra: Tensor) -> Tensor:
        """Return log amplitudes (..., bins), of mean 0 over the mel scale, of c1..."""
        return cepstra @ self.curves

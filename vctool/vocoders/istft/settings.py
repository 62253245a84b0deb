"""Settings of the network, and what its forms for whole utterances and for real time share."""

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from vctool.config import Config
from vctool.errors import ConfigError
from vctool.features.mel import mel_frequencies
from vctool.features.settings import FeatureConfig

STEEPEST = 9.0
"""Limit of a filter's natural log gain, so that a wild prediction cannot overflow."""
FAINTEST = 1e-6
"""Magnitudes, of STFT and mel bins, are raised to this."""
CANCELLED = 0.1
"""Share of the wanted magnitude below which a bin is too weak to be scaled up to all of it."""
NOISE_BEGINS = -1.0
"""Initial natural log gain of noise; that of pulses is 0."""
EVEN_BEGINS = 1.0
"""Initial logit of the share of the mel's smooth spectrum in the magnitudes."""
NEPERS = math.log(10) / 20
"""Natural log of amplitude per dB."""


class IstftConfig(Config):
    """Settings of the network; the family adds those of training."""

    excitation: Literal["harmonic", "none"] = "harmonic"
    """`harmonic`: filter pulses and noise; `none`: predict magnitude and phase, as Vocos does."""
    width: int = Field(256, ge=8)
    """Channels of the backbone."""
    blocks: int = Field(8, ge=1)
    """ConvNeXt blocks of the backbone."""
    window_hops: int = Field(4, ge=2)
    """Length of the synthesis window [hops]."""
    passes: int = Field(6, ge=1)
    """Number of inverse STFTs; between two of them the wave's STFT is taken and corrected."""
    held: int = Field(2, ge=0)
    """How many of the last corrections restore the mel; those before restore magnitudes."""
    pitch_width: int = Field(96, ge=8)
    """Channels of the head that predicts F0 from the mel."""
    pitch_blocks: int = Field(3, ge=1)
    """ConvNeXt blocks of this head."""
    pitch_cents: float = Field(25.0, ge=5, le=100)
    """Distance between its classes [cents]."""
    causal: bool = False
    """Run in real time (`causal`): padded on the left, one inverse STFT, each frame's own F0."""

    @model_validator(mode="after")
    def _consistent(self) -> "IstftConfig":
        if self.causal and (self.window_hops % 2 or self.excitation == "none"):
            raise ValueError("causal needs an even window_hops and excitation harmonic")
        return self


class Made(NamedTuple):
    """Output of the network."""

    wave: Tensor
    """(B, F * hop_length)."""
    pitch: Tensor | None
    """(B, F, C) log probability of F0 classes; None without excitation."""


class Normalised(nn.Module):
    """What both forms of the network begin with: the mean and the deviation of each mel bin.

    Args:
        mels: number of bins.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((mels, 1), -40.0))
        self.register_buffer("std", torch.full((mels, 1), 20.0))

    @torch.no_grad()
    def fit(self, mel: Tensor) -> None:
        """Set the normalisation: mean and standard deviation of each bin of mels (B, M, F) [dB]."""
        self.mean.copy_(mel.mean(dim=(0, 2))[:, None])
        self.std.copy_(mel.std(dim=(0, 2))[:, None].clamp_min(1.0))


def require_bins(
    filters: Tensor, own: Tensor, features: FeatureConfig, config: IstftConfig, size: int
) -> None:
    """Check that the synthesis STFT covers every mel bin of the features.

    A mel bin that lies between two STFT bins stays silent in any output, and correcting
    towards it makes the other bins ever louder.

    Args:
        filters: the filterbank of the synthesis STFT (n_mels, bins).
        own: that of the features, of other bins.
        features: the mel.
        config: the network.
        size: length of the synthesis FFT [samples].

    Raises:
        ConfigError: a mel bin is not covered.
    """
    lost = ((filters.sum(dim=1) == 0) & (own.sum(dim=1) > 0)).sum().item()
    if lost:
        raise ConfigError(
            f"istft: {lost} of {features.n_mels} mel bins lie between the bins of the "
            f"synthesis FFT of {size} samples; raise model.window_hops = "
            f"{config.window_hops}, or lower features.n_mels"
        )


def spread(features: FeatureConfig, bins: int) -> Tensor:
    """Return the matrix (bins, n_mels) that interpolates mel bins to STFT bins."""
    hz = np.linspace(0.0, features.rate / 2, bins)
    centres = mel_frequencies(features)[1:-1]
    columns = [np.interp(hz, centres, row) for row in np.eye(features.n_mels)]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))

"""What the encoder hears in training: another vocal tract and another microphone."""

import math

import torch
from torch import Tensor, nn

from vctool.data.sampling import keyed_normal, keyed_uniform
from vctool.features.settings import FeatureConfig
from vctool.features.warping import FrequencyWarp

CURVES = 8
"""Cosines over the mel scale that make up an equaliser; the n-th is n times weaker."""
NEPERS = math.log(10) / 20
"""Nepers in a dB."""


class Perturbation(nn.Module):
    """Warp the frequency axis of log amplitudes, and add a smooth curve, both drawn for each clip.

    Args:
        features: the feature settings.
        warp: largest relative change of the vocal tract length.
        equaliser_db: standard deviation of the curve over clips and bands [dB].
    """

    curves: Tensor

    def __init__(self, features: FeatureConfig, warp: float, equaliser_db: float) -> None:
        super().__init__()
        self.warp = FrequencyWarp(features, warp) if warp else None
        place = (torch.arange(features.n_mels) + 0.5) / features.n_mels
        count = torch.arange(1, CURVES + 1)[:, None]
        curves = torch.cos(math.pi * count * place) / count
        scale = equaliser_db * NEPERS / curves.square().sum(dim=0).mean().sqrt()
        self.register_buffer("curves", scale * curves, persistent=False)

    def forward(self, bands: Tensor, key: Tensor) -> Tensor:
        """Perturb (B, F, n_mels) [nepers]; keys are (B,)."""
        if self.warp is not None:
            place = keyed_uniform(key, (1,), 2)[:, 0]
            bands = self.warp(bands.transpose(1, 2), place).transpose(1, 2)
        return bands + (keyed_normal(key, (CURVES,), 3) @ self.curves)[:, None]

"""Simulate a longer or shorter vocal tract: log-mel with its frequency axis stretched."""

import numpy as np
import torch
from torch import Tensor, nn

from vctool.features.mel import hz_to_mel, mel_frequencies
from vctool.features.settings import FeatureConfig

STEPS = 32
"""Factors on either side of 1 that a warp is rounded to."""


class FrequencyWarp(nn.Module):
    """Multiply the frequencies of each mel by its own factor.

    Args:
        features: the feature settings.
        largest: the largest relative change.
    """

    low: Tensor
    share: Tensor

    def __init__(self, features: FeatureConfig, largest: float) -> None:
        super().__init__()
        edges = mel_frequencies(features)
        step = hz_to_mel(edges[1]) - hz_to_mel(edges[0])
        factors = 1.0 + largest * np.linspace(-1.0, 1.0, 2 * STEPS + 1)
        # the value at a bin is read where it was before the warp
        origin = (hz_to_mel(edges[1:-1] / factors[:, None]) - hz_to_mel(edges[1])) / step
        origin = np.clip(origin, 0.0, features.n_mels - 1.0)
        low = np.minimum(origin.astype(np.int64), features.n_mels - 2)
        self.register_buffer("low", torch.from_numpy(low), persistent=False)
        share = torch.from_numpy((origin - low).astype(np.float32))
        self.register_buffer("share", share, persistent=False)

    def forward(self, mel: Tensor, place: Tensor) -> Tensor:
        """Warp (B, n_mels, F) by places (B,) in 0..1: from the smallest factor to the largest."""
        step = (place * 2 * STEPS).round().long()
        low, share = self.low[step][..., None], self.share[step][..., None]
        low = low.expand(-1, -1, mel.shape[-1])
        return (1.0 - share) * mel.gather(1, low) + share * mel.gather(1, low + 1)

"""The range of a voice, of each mel bin and of loudness, that its decoder stays within.

Conversions have no target frame by frame, so only a discriminator would keep a decoder from
making a bin louder than the voice ever was, which sounds like a beep.
"""

import torch
from torch import Tensor, nn

from vctool.features.settings import FeatureConfig
from vctool.models.vae_gan import streams

MARGIN = 0.03
"""How far beyond the measured extremes the range reaches [of `top_db`]; a squashing function never
arrives at its bounds."""


class VoiceRange(nn.Module):
    """Squash to the range of a voice's bins, beginning at their mean.

    Args:
        features: the feature settings.
    """

    low: Tensor
    high: Tensor
    centre: Tensor
    loudness: Tensor

    def __init__(self, features: FeatureConfig) -> None:
        super().__init__()
        bins, self.top_db = features.n_mels, features.top_db
        self.register_buffer("low", torch.full((bins, 1), -MARGIN))
        self.register_buffer("high", torch.full((bins, 1), 1.0 + MARGIN))
        self.register_buffer("centre", torch.zeros(bins, 1))
        self.register_buffer("loudness", torch.tensor([0.0, 1.0]))

    @torch.no_grad()
    def measure(self, mel: Tensor) -> None:
        """Take the range from clips (B, n_mels, F) of the voice."""
        loudness = streams.loudness(mel, self.top_db)
        self.loudness.copy_(torch.stack([loudness.min(), loudness.max()]))
        self.low.copy_(mel.amin(dim=(0, 2))[:, None] - MARGIN)
        self.high.copy_(mel.amax(dim=(0, 2))[:, None] + MARGIN)
        share = (mel.mean(dim=(0, 2))[:, None] - self.low) / (self.high - self.low)
        self.centre.copy_(torch.logit(share))

    def within(self, loudness: Tensor) -> Tensor:
        """Bring loudness (B, F) of another voice into this one's range."""
        return loudness.clamp(self.loudness[0], self.loudness[1])

    def quieten(self, mel: Tensor, loudness: Tensor) -> Tensor:
        """Lower the frames of mels (B, n_mels, F) that exceed a requested loudness (B, F).

        Where a decoder meets a code that its own voice never had, it may fill a pause with sound.
        """
        excess = (streams.loudness(mel, self.top_db) - loudness).clamp(min=0.0)
        return torch.maximum(mel - excess[:, None], self.low)

    def forward(self, x: Tensor) -> Tensor:
        """Squash (B, n_mels, F) of any range: 0 becomes the mean. Float32, or float64 as it is."""
        return self.low + (self.high - self.low) * torch.sigmoid(streams.precise(x) + self.centre)

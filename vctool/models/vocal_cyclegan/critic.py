"""The discriminators: random convolutional kernels with a trained head, and a convolutional one.

The published discriminator computed MiniRocket features outside torch, so no gradient reached a
generator, and was fitted on speech alone, so it never used the accompaniment's channels. Here the
features are differentiable, and the discriminator is fitted on the channels that it judges.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from vctool.data.sampling import keyed_uniform
from vctool.models.vocal_cyclegan.minirocket import MiniRocket


class RocketCritic(nn.Module):
    """MiniRocket features and a spectrally normalised head; one score per clip.

    Args:
        channels: channels judged.
        frames: clip length [frames].
        num_features: MiniRocket features asked for (10,000 gives the published 9,996).
        hidden: width of the head's first layer; the second is half of it.
        dropout: share of the head's units that are dropped, drawn from each clip's own key.
        seed: seed of the channel combinations.
    """

    def __init__(
        self,
        channels: int,
        frames: int,
        num_features: int,
        hidden: int,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.rocket = MiniRocket(channels, frames, num_features, seed=seed)
        self.dropout = dropout
        self.register_buffer("mean", torch.zeros(self.rocket.out_features))
        self.register_buffer("scale", torch.ones(self.rocket.out_features))
        self.first = spectral_norm(nn.Linear(self.rocket.out_features, hidden))
        self.second = spectral_norm(nn.Linear(hidden, hidden // 2))
        self.score = nn.Linear(hidden // 2, 1)

    mean: Tensor
    scale: Tensor

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Set the biases, and the features' mean and deviation, from (B, C, F) clips."""
        self.rocket.fit(x)
        features = self.rocket(x)
        self.mean.copy_(features.mean(dim=0))
        # Spectral normalisation bounds the head by one; features of unit length use that range.
        spread = features.std(dim=0).clamp_min(1e-3)
        self.scale.copy_(1.0 / (spread * features.shape[1] ** 0.5))

    def features(self, x: Tensor) -> Tensor:
        """Return standardised MiniRocket features: (B, C, F) to (B, num_features)."""
        features: Tensor = (self.rocket(x) - self.mean) * self.scale
        return features

    def judge(self, features: Tensor, keys: Tensor) -> Tensor:
        """Return (B,) scores of features; 1 is real, 0 is fake."""
        x = self._drop(F.leaky_relu(self.first(features), 0.2), keys, 11)
        x = self._drop(F.leaky_relu(self.second(x), 0.2), keys, 12)
        scores: Tensor = self.score(x)[:, 0]
        return scores

    def _drop(self, x: Tensor, keys: Tensor, salt: int) -> Tensor:
        if not self.dropout or not self.training:
            return x
        kept = keyed_uniform(keys, (x.shape[1],), salt) >= self.dropout
        return x * kept.to(x.dtype) / (1.0 - self.dropout)


class PatchCritic(nn.Module):
    """Spectrally normalised convolutions over time, at the full and at half the frame rate.

    Args:
        channels: channels judged.
        width: channels of the first layer; doubled twice.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(self._stack(channels, width) for _ in range(2))

    @staticmethod
    def _stack(channels: int, width: int) -> nn.Sequential:
        widths: Sequence[int] = (channels, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [
                spectral_norm(nn.Conv1d(before, after, 5, stride=2, padding=2)),
                nn.LeakyReLU(0.2),
            ]
        return nn.Sequential(*layers, spectral_norm(nn.Conv1d(widths[-1], 1, 3, padding=1)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, S) scores, one per patch and scale; 1 is real, 0 is fake."""
        scores = [self.scales[0](x), self.scales[1](F.avg_pool1d(x, 2, ceil_mode=True))]
        return torch.cat(scores, dim=2)[:, 0]

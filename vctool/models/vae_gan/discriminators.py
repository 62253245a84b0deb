"""The discriminators of each voice, on log-mel: the published one, and one of two time scales."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

LEAST_DEVIATION = 0.02
"""Deviations that bins are divided by are no less than this [of `top_db`]: what is silent in all
clips of a voice is not blown up."""

POOLING = 4
"""Frames that the coarse scale averages into one."""


class Opinion(NamedTuple):
    """What a discriminator makes of a batch of clips."""

    score: Tensor
    """(B, N) float32, N patches: near 1 for real clips, near 0 for fakes."""
    seen: list[Tensor]
    """Feature maps of all layers but the last, each (B, ...), for feature matching."""


class PatchDiscriminator(nn.Module):
    """A PatchGAN (Isola et al., 2017), as published, for least-squares losses (Mao et al., 2017).

    (B, n_mels, F) -> (B, n_mels / 16 * F / 16); linear output.

    Args:
        width: channels after the first layer; they double three times. Published: 64.
        norm: whether inner layers normalise instances, as published.
    """

    def __init__(self, width: int, norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for factor in (1, 2, 4):
            layers.append(nn.Conv2d(factor * width, 2 * factor * width, 4, stride=2, padding=1))
            if norm:
                layers.append(nn.InstanceNorm2d(2 * factor * width))
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 3, padding=1))

    def measure(self, mel: Tensor) -> None:
        """Take nothing from the voice: its input is normalised log-mel from -1 to 1."""

    def forward(self, mel: Tensor) -> Opinion:
        """Judge normalised log-mel."""
        made: Tensor = self.layers(2.0 * mel[:, None] - 1.0).flatten(1)
        return Opinion(made.float(), [])


class _Scale(nn.Module):
    """Convolutions over bins and frames."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = (1, width, 2 * width, 4 * width, 8 * width)
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in pairwise(sizes)
        )
        self.last = nn.Conv2d(sizes[-1], 1, 3, padding=1)

    def forward(self, x: Tensor) -> Opinion:
        """Judge standardised log-mel (B, 1, n_mels, F)."""
        seen = []
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), 0.2)
            seen.append(x)
        return Opinion(self.last(x).flatten(1).float(), seen)


class ScaleDiscriminator(nn.Module):
    """Judge at two time scales log-mel of which every bin has mean 0 and deviation 1.

    Frames are judged as they are and averaged by `POOLING`. Standardised, a difference of 1 dB is
    about three times what it is on the scale of -1 to 1, and weighs the same in every bin.

    Args:
        bins: mel bins.
        width: channels after the first layer; they double three times.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, bins: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((bins, 1), 0.5))
        self.register_buffer("deviation", torch.full((bins, 1), 0.5))
        self.fine, self.coarse = _Scale(width), _Scale(width)

    @torch.no_grad()
    def measure(self, mel: Tensor) -> None:
        """Take every bin's mean and deviation from clips (B, n_mels, F) of the voice."""
        self.mean.copy_(mel.mean(dim=(0, 2))[:, None])
        self.deviation.copy_(mel.std(dim=(0, 2)).clamp(min=LEAST_DEVIATION)[:, None])

    def forward(self, mel: Tensor) -> Opinion:
        """Judge normalised log-mel (B, n_mels, F)."""
        x = ((mel - self.mean) / self.deviation)[:, None]
        fine = self.fine(x)
        coarse = self.coarse(nn.functional.avg_pool2d(x, (1, POOLING)))
        return Opinion(torch.cat([fine.score, coarse.score], dim=1), fine.seen + coarse.seen)


def matched(made: list[Tensor], real: list[Tensor]) -> Tensor:
    """Return the L1 distance of clips' feature maps, each over the mean size of the real one's."""
    parts = []
    for one, other in zip(made, real, strict=True):
        one, other = one.float().flatten(1), other.float().flatten(1)
        size = other.abs().mean(dim=1) + 1e-6  # of each clip, whatever batch it is in
        parts.append(((one - other).abs().mean(dim=1) / size).mean())
    return torch.stack(parts).mean()


def steepness(judge: nn.Module, real: Tensor) -> Tensor:
    """Return the R1 penalty (Mescheder et al., 2018): the mean squared gradient at real clips.

    Per patch and of the size of an input of deviation 1; 0 where no gradient is asked for.

    Args:
        judge: a `ScaleDiscriminator`.
        real: (B, n_mels, F).
    """
    if not torch.is_grad_enabled():
        return real.new_zeros(())
    assert isinstance(judge, ScaleDiscriminator)
    real = real.detach().requires_grad_()
    score = judge(real).score
    slope = torch.autograd.grad(score.sum(), real, create_graph=True)[0] * judge.deviation
    return slope.square().sum() / score.numel()

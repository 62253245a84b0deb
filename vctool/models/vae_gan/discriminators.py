"""The discriminator of each voice: a PatchGAN (Isola et al., 2017) on log-mel."""

from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """One score per patch, for least-squares losses (Mao et al., 2017).

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

    def forward(self, mel: Tensor) -> Tensor:
        """Score normalised log-mel: near 1 for real clips, near 0 for fakes."""
        made: Tensor = self.layers(2.0 * mel[:, None] - 1.0).flatten(1)
        return made.float()

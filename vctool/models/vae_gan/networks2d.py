"""Encoder and decoders as published: convolutions over time and frequency of (B, 1, n_mels, F).

After AlBadawy and Lyu, "Voice conversion using speech-to-speech neuro-style transfer" (2020), and
the many-voice form of Bonnici et al. (2021, arXiv 2109.02096). Here the posterior has a
log-variance of its own, and the output is squashed to the range of the voice, not to -1..1.
"""

from torch import Tensor, nn

from vctool.features.settings import FeatureConfig
from vctool.models.vae_gan.settings import VaeGanConfig
from vctool.models.vae_gan.voice_range import VoiceRange


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance normalisation, added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add to (B, C, H, W)."""
        made: Tensor = x + self.layers(x)
        return made


class Encoder(nn.Module):
    """Normalised log-mel to the mean and log-variance of the code.

    Args:
        config: the hyper-parameters.
        features: the feature settings.
    """

    def __init__(self, config: VaeGanConfig, features: FeatureConfig) -> None:
        super().__init__()
        width = config.width
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 7, padding=3, padding_mode="reflect"),
            nn.InstanceNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.InstanceNorm2d(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1),
            nn.InstanceNorm2d(4 * width),
            nn.ReLU(),
            *(ResidualBlock(4 * width) for _ in range(config.encoder_blocks)),
        )
        self.log_variance = nn.Conv2d(4 * width, 4 * width, 1)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (B, n_mels, F), F a multiple of 4: two of (B, 4 width, n_mels / 4, F / 4)."""
        mean = self.layers(mel[:, None])
        return mean, self.log_variance(mean)


class Shared(nn.Module):
    """The layers that all decoders share.

    Args:
        config: the hyper-parameters.
        features: the feature settings.
    """

    def __init__(self, config: VaeGanConfig, features: FeatureConfig) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(ResidualBlock(4 * config.width) for _ in range(config.shared_blocks))
        )

    def forward(self, code: Tensor, f0: Tensor | None, loudness: Tensor | None) -> Tensor:
        """Process a code (B, 4 width, n_mels / 4, F / 4)."""
        assert f0 is None and loudness is None, "these decoders are told the code alone"
        made: Tensor = self.blocks(code)
        return made


class Decoder(nn.Module):
    """Decoder of one voice: the output of `Shared` to the voice's log-mel.

    Args:
        config: the hyper-parameters.
        features: the feature settings.
    """

    def __init__(self, config: VaeGanConfig, features: FeatureConfig) -> None:
        super().__init__()
        width = config.width
        self.range = VoiceRange(features)
        self.layers = nn.Sequential(
            *(ResidualBlock(4 * width) for _ in range(config.decoder_blocks)),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1),
            nn.InstanceNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.InstanceNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 1, 7, padding=3, padding_mode="reflect"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Decode (B, 4 width, n_mels / 4, F / 4) to log-mel (B, n_mels, F) float32."""
        made: Tensor = self.range(self.layers(x)[:, 0])
        return made

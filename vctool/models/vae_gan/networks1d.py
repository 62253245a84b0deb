"""Encoder and decoders that convolve over time: (B, C, F), code (B, latent_channels, F / 2)."""

from torch import Tensor, nn
from torch.nn import functional

from vctool.features.settings import FeatureConfig
from vctool.models.vae_gan.settings import VaeGanConfig
from vctool.models.vae_gan.streams import Harmonics, cosine_basis
from vctool.models.vae_gan.voice_range import VoiceRange

KERNEL = 5


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation of each frame over its channels: (B, C, F), whatever F is."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class EncoderBlock(nn.Module):
    """A residual block with instance normalisation, which removes the voice's average.

    (Chou et al., 2019, "One-shot voice conversion by separating speaker and content
    representations with instance normalization".)
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, padding_mode="reflect")
        self.second = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, padding_mode="reflect")
        self.norm = nn.InstanceNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Add to (B, C, F)."""
        h = functional.gelu(self.norm(self.first(x)))
        return x + self.norm(self.second(h))


class DecoderBlock(nn.Module):
    """A residual block with a limited receptive field: frames do not depend on the whole clip."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.first = nn.Conv1d(
            width, 2 * width, 3, padding=dilation, dilation=dilation, padding_mode="reflect"
        )
        self.second = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add to (B, C, F)."""
        return x + self.second(functional.glu(self.first(self.norm(x)), dim=1))


class Encoder(nn.Module):
    """Normalised log-mel to the mean and log-variance of the code.

    Args:
        config: the hyper-parameters.
        features: the feature settings.
    """

    basis: Tensor

    def __init__(self, config: VaeGanConfig, features: FeatureConfig) -> None:
        super().__init__()
        count = config.cepstra or features.n_mels
        self.seen = config.cepstra
        if self.seen:
            basis = cosine_basis(features.n_mels, count)
            self.register_buffer("basis", basis, persistent=False)
        width = config.width
        self.input_norm = nn.InstanceNorm1d(count)
        self.first = nn.Conv1d(count, width, KERNEL, padding=KERNEL // 2, padding_mode="reflect")
        self.down = nn.Conv1d(width, width, 4, stride=2, padding=1, padding_mode="reflect")
        self.blocks = nn.Sequential(*(EncoderBlock(width) for _ in range(config.encoder_blocks)))
        self.norm = nn.InstanceNorm1d(width)
        self.head = nn.Conv1d(width, 2 * config.latent_channels, 1)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (B, n_mels, F), F even: two of (B, latent_channels, F / 2)."""
        x = self.basis @ mel if self.seen else mel
        x = functional.gelu(self.first(self.input_norm(x)))
        x = functional.gelu(self.norm(self.down(x)))
        mean, log_variance = self.head(self.blocks(x)).chunk(2, dim=1)
        return mean, log_variance


class Shared(nn.Module):
    """The layers that all decoders share: the code at the frame rate, with the pitch.

    Args:
        config: the hyper-parameters.
        features: the feature settings.
    """

    def __init__(self, config: VaeGanConfig, features: FeatureConfig) -> None:
        super().__init__()
        width = config.width
        self.up = nn.ConvTranspose1d(config.latent_channels, width, 4, stride=2, padding=1)
        self.harmonics = Harmonics(features) if config.pitch != "none" else None
        if self.harmonics is not None:
            self.pitch = nn.Conv1d(self.harmonics.channels, width, 1)
        if config.loudness:
            self.loudness = nn.Conv1d(1, width, 1)
        self.blocks = nn.Sequential(
            *(DecoderBlock(width, 1 + n % 3) for n in range(config.shared_blocks))
        )

    def forward(self, code: Tensor, f0: Tensor | None, loudness: Tensor | None) -> Tensor:
        """Combine a code with F0 and loudness.

        Args:
            code: (B, latent_channels, F / 2).
            f0: (B, F) [Hz], 0 where unvoiced; used where `pitch` is not `none`.
            loudness: (B, F), as `streams.loudness` gives; used where the settings say so.

        Returns:
            (B, width, F).
        """
        x: Tensor = self.up(code)
        if self.harmonics is not None:
            assert f0 is not None, "decoders were built to be told F0"
            x = x + self.pitch(self.harmonics(f0))
        if loudness is not None:
            x = x + self.loudness(2.0 * loudness[:, None] - 1.0)
        x = self.blocks(x)
        return x


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
        self.blocks = nn.Sequential(
            *(DecoderBlock(width, 1 + n % 3) for n in range(config.decoder_blocks))
        )
        self.norm = ChannelNorm(width)
        self.last = nn.Conv1d(width, features.n_mels, KERNEL, padding=2, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        """Decode (B, width, F) to normalised log-mel (B, n_mels, F) float32."""
        made: Tensor = self.range(self.last(functional.gelu(self.norm(self.blocks(x)))))
        return made

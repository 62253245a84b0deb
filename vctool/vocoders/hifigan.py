"""HiFi-GAN (Kong, Kim and Bae, 2020): transposed convolutions from mel to samples.

The generator is the published one, in all three variants and with the names of its tensors, so
that published weights fit (with weight norm folded into them; ours is trained without). Its input
is the natural log of mel magnitudes, floored at ln 1e-5. Frame k of the mel becomes the k-th hop
of sound and is centred in it, as with the authors' uncentred STFT.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from vctool.config import Config
from vctool.errors import ConfigError
from vctool.features.settings import FeatureConfig
from vctool.vocoders.stored.neural import NeuralVocoder

SLOPE, LAST_SLOPE = 0.1, 0.01
"""Negative slopes: of every LeakyReLU, and of the one before the last convolution."""
FLOOR = math.log(1e-5)
"""Lowest natural log mel magnitude."""
NEPERS = math.log(10) / 20
"""Natural log of amplitude per dB."""


class HifiganConfig(Config):
    """Settings of the generator, named as in the published `config.json`; the defaults are V1."""

    resblock: Literal["1", "2"] = "1"
    """Kind of residual block: `1` of V1 and V2, `2` of V3."""
    upsample_rates: tuple[int, ...] = (8, 8, 2, 2)
    """Factors of the transposed convolutions; their product is the hop."""
    upsample_kernel_sizes: tuple[int, ...] = (16, 16, 4, 4)
    """Their kernel sizes; each must exceed its factor by an even number, or equal it."""
    upsample_initial_channel: int = Field(512, ge=4)
    """Channels before the first upsampling; each upsampling halves them."""
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    """Kernel sizes of the residual blocks after each upsampling."""
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    """Dilations in each block."""

    @model_validator(mode="after")
    def _consistent(self) -> "HifiganConfig":
        pairs = list(zip(self.upsample_rates, self.upsample_kernel_sizes, strict=False))
        if len(self.upsample_rates) != len(self.upsample_kernel_sizes) or not pairs:
            raise ValueError("upsample_rates and upsample_kernel_sizes must be of one length")
        if any(kernel < rate or (kernel - rate) % 2 for rate, kernel in pairs):
            raise ValueError("each upsample kernel must exceed its rate by an even number")
        if len(self.resblock_kernel_sizes) != len(self.resblock_dilation_sizes):
            raise ValueError("resblock_dilation_sizes needs one list for each resblock kernel")
        if self.upsample_initial_channel % 2 ** len(pairs):
            raise ValueError("upsample_initial_channel must halve evenly at every upsampling")
        return self

    @property
    def hop_length(self) -> int:
        """Samples for each frame."""
        return math.prod(self.upsample_rates)


def _same(channels: int, kernel: int, dilation: int) -> nn.Conv1d:
    """Return a convolution that keeps the length, for odd kernels."""
    pad = dilation * (kernel - 1) // 2
    return nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=pad)


class ResBlock1(nn.Module):
    """Pairs of a dilated and a plain convolution, each pair added to its input."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_same(channels, kernel, one) for one in dilations)
        self.convs2 = nn.ModuleList(_same(channels, kernel, 1) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """Refine (B, C, T)."""
        for first, second in zip(self.convs1, self.convs2, strict=True):
            y = first(nn.functional.leaky_relu(x, SLOPE))
            x = x + second(nn.functional.leaky_relu(y, SLOPE))
        return x


class ResBlock2(nn.Module):
    """Dilated convolutions, each added to its input."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_same(channels, kernel, one) for one in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """Refine (B, C, T)."""
        for conv in self.convs:
            x = x + conv(nn.functional.leaky_relu(x, SLOPE))
        return x


class HifiganNetwork(nn.Module):
    """Mel (B, M, F) [dB] to wave (B, F * hop_length) in -1..1.

    Args:
        config: the network.
        features: the mel that it reads.

    Raises:
        ConfigError: the network's samples per frame differ from the features' hop.
    """

    def __init__(self, config: HifiganConfig, features: FeatureConfig) -> None:
        super().__init__()
        if config.hop_length != features.hop_length:
            raise ConfigError(
                f"hifigan: upsample_rates {list(config.upsample_rates)} make "
                f"{config.hop_length} samples of a frame, features.hop_length is "
                f"{features.hop_length}; choose rates of that product"
            )
        self.config, self.features = config, features
        width = config.upsample_initial_channel
        self.conv_pre = nn.Conv1d(features.n_mels, width, 7, padding=3)
        block = ResBlock1 if config.resblock == "1" else ResBlock2
        ups: list[nn.Module] = []
        blocks: list[nn.Module] = []
        for rate, kernel in zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True):
            pad = (kernel - rate) // 2
            ups.append(nn.ConvTranspose1d(width, width // 2, kernel, rate, padding=pad))
            width //= 2
            for size, dilations in zip(
                config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True
            ):
                blocks.append(block(width, size, dilations))
        self.ups, self.resblocks = nn.ModuleList(ups), nn.ModuleList(blocks)
        self.conv_post = nn.Conv1d(width, 1, 7, padding=3)

    def forward(self, mel: Tensor) -> Tensor:
        """Synthesise waves."""
        x = self.conv_pre((mel * NEPERS).clamp_min(FLOOR))
        each = len(self.config.resblock_kernel_sizes)
        for place, up in enumerate(self.ups):
            x = up(nn.functional.leaky_relu(x, SLOPE))
            blocks = self.resblocks[place * each : (place + 1) * each]
            x = sum(block(x) for block in blocks) / each
        x = self.conv_post(nn.functional.leaky_relu(x, LAST_SLOPE))
        return torch.tanh(x)[:, 0]


class Vocoder(NeuralVocoder):
    """A trained generator as a vocoder: log-mel to wave."""

    name = "hifigan"
    settings = HifiganConfig
    build_network = HifiganNetwork
    from_elsewhere = True

    def _sound(self, features: Mapping[str, np.ndarray]) -> np.ndarray:
        return synthesise(self.network, torch.tensor(features["mel"], dtype=torch.float32).T)


@torch.no_grad()
def synthesise(network: HifiganNetwork, mel: Tensor) -> np.ndarray:
    """Synthesise one utterance.

    Args:
        network: the generator.
        mel: (M, F) [dB].

    Returns:
        ((F + 1) * hop_length,) float32, which begins half a hop before the first frame's centre.
    """
    # The last frame is repeated, for the samples beyond the middle of its hop.
    held = torch.cat([mel, mel[:, -1:]], dim=1)[None].to(network.conv_pre.weight.device)
    wave: np.ndarray = network(held)[0].float().cpu().numpy()
    return wave

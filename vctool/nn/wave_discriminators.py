"""Waveform discriminators: multi-period, multi-scale and multi-resolution spectrogram.

The first two are HiFi-GAN's (Kong, Kim and Bae, 2020), the third UnivNet's (Jang et al., 2021).
HiFi-GAN's conf has the published sizes as its defaults; smaller ones fit smaller machines.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

SLOPE = 0.1
"""Negative slope of every LeakyReLU."""


class Opinion(NamedTuple):
    """Output of one discriminator for a batch of waves."""

    score: Tensor
    """(B, ...), trained towards 1 for recordings and 0 for fakes."""
    seen: list[Tensor]
    """Feature maps of all layers but the last, in order."""


class _Stack(nn.Module):
    """Weight-normalised convolutions, each but the last followed by a LeakyReLU."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)

    def judge(self, x: Tensor) -> Opinion:
        seen = []
        for layer in self.layers[:-1]:
            x = nn.functional.leaky_relu(layer(x), SLOPE)
            seen.append(x)
        return Opinion(self.layers[-1](x), seen)


class PeriodDiscriminator(_Stack):
    """HiFi-GAN's period discriminator: (B, T) is folded to p columns of every p-th sample.

    Args:
        period: p [samples].
        width: channels after the first layer; later layers have 4, 16, 32 and 32 times as many.
            32 as published.
    """

    def __init__(self, period: int, width: int) -> None:
        sizes = [1, width, 4 * width, 16 * width, 32 * width]
        strided = [
            nn.Conv2d(before, after, (5, 1), (3, 1), padding=(2, 0))
            for before, after in pairwise(sizes)
        ]
        last = nn.Conv2d(sizes[-1], sizes[-1], (5, 1), padding=(2, 0))
        super().__init__([*strided, last, nn.Conv2d(sizes[-1], 1, (3, 1), padding=(1, 0))])
        self.period = period

    def forward(self, wave: Tensor) -> Opinion:
        """Judge waves (B, T)."""
        short = -wave.shape[-1] % self.period
        folded = nn.functional.pad(wave[:, None], (0, short), mode="reflect")
        return self.judge(folded.unflatten(-1, (-1, self.period)))


class ScaleDiscriminator(_Stack):
    """HiFi-GAN's scale discriminator: grouped 1-D convolutions on the wave, pooled `scale` times.

    Args:
        scale: number of average poolings, each of which halves the rate.
        width: channels after the first layer, which grow to 8 times as many; 128 as published.
    """

    def __init__(self, scale: int, width: int) -> None:
        plan = ((15, 1, 1, 1), (41, 2, 4, 1), (41, 2, 16, 2), (41, 4, 16, 4), (41, 4, 16, 8))
        layers: list[nn.Module] = []
        before = 1
        for kernel, stride, groups, times in plan:
            after = times * width
            shared = min(groups, before, after)
            pad = kernel // 2
            layers.append(nn.Conv1d(before, after, kernel, stride, pad, groups=shared))
            before = after
        layers.append(nn.Conv1d(before, before, 41, 1, 20, groups=min(16, before)))
        layers.append(nn.Conv1d(before, before, 5, 1, 2))
        super().__init__([*layers, nn.Conv1d(before, 1, 3, padding=1)])
        self.scale = scale

    def forward(self, wave: Tensor) -> Opinion:
        """Judge waves (B, T)."""
        x = wave[:, None]
        for _ in range(self.scale):
            x = nn.functional.avg_pool1d(x, 4, 2, padding=2)
        return self.judge(x)


class SpectrumDiscriminator(_Stack):
    """Discriminator of the STFT's square-root magnitudes, by 2-D convolutions.

    Args:
        size: FFT and window length [samples]; the hop is a quarter of it.
        width: channels; 32 as published.
    """

    window: Tensor

    def __init__(self, size: int, width: int) -> None:
        layers = [nn.Conv2d(1, width, (9, 3), padding=(4, 1))]
        for _ in range(3):
            layers.append(nn.Conv2d(width, width, (9, 3), (2, 1), padding=(4, 1)))
        layers.append(nn.Conv2d(width, width, (3, 3), padding=1))
        super().__init__([*layers, nn.Conv2d(width, 1, (3, 3), padding=1)])
        self.size = size
        self.register_buffer("window", torch.hann_window(size), persistent=False)

    def forward(self, wave: Tensor) -> Opinion:
        """Judge waves (B, T)."""
        with torch.autocast(wave.device.type, enabled=False):  # FFTs have no bf16
            spectrum = torch.stft(
                wave.float(), self.size, self.size // 4, window=self.window, return_complex=True
            )
            power = spectrum.real.square() + spectrum.imag.square()
            magnitude = power.clamp_min(1e-8).pow(0.25)
        return self.judge(magnitude[:, None])


class WaveDiscriminators(nn.Module):
    """All discriminators of a config, each applied to the same waves.

    Args:
        periods: periods [samples], as published (2, 3, 5, 7, 11).
        period_width: see `PeriodDiscriminator`.
        scales: number of scales, 3 as published.
        scale_width: see `ScaleDiscriminator`.
        spectra: FFT lengths [samples].
        spectrum_width: see `SpectrumDiscriminator`.
    """

    def __init__(
        self,
        periods: Sequence[int],
        period_width: int,
        scales: int,
        scale_width: int,
        spectra: Sequence[int],
        spectrum_width: int,
    ) -> None:
        super().__init__()
        judges: list[nn.Module] = [PeriodDiscriminator(one, period_width) for one in periods]
        judges += [ScaleDiscriminator(one, scale_width) for one in range(scales)]
        judges += [SpectrumDiscriminator(one, spectrum_width) for one in spectra]
        assert judges, "a discriminator is needed"
        self.judges = nn.ModuleList(judges)

    def forward(self, wave: Tensor) -> list[Opinion]:
        """Apply every discriminator to waves (B, T)."""
        return [judge(wave) for judge in self.judges]

    def own_loss(self, true: Tensor, made: Tensor) -> Tensor:
        """Return the discriminators' loss: LSGAN (Mao et al., 2017), real towards 1, fake to 0."""
        opinions = self(torch.cat([true, made]))
        losses = []
        for opinion in opinions:
            real, fake = opinion.score.float().chunk(2)
            losses.append((1.0 - real).square().mean() + fake.square().mean())
        return torch.stack(losses).mean()

    def generator_losses(self, true: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """Return the generator's adversarial loss and its feature matching loss (L1).

        Args:
            true: (B, T) recordings.
            made: (B, T) fakes, generated from their features; gradients flow into these.
        """
        with torch.no_grad():
            wanted = self(true)
        opinions = self(made)
        adversarial = torch.stack([(1.0 - one.score.float()).square().mean() for one in opinions])
        matching = [
            (ours - theirs).abs().float().mean()
            for one, other in zip(opinions, wanted, strict=True)
            for ours, theirs in zip(one.seen, other.seen, strict=True)
        ]
        return adversarial.mean(), torch.stack(matching).mean()

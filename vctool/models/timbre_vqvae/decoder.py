"""Content and an instrument to power spectra: harmonic series, noise and a smooth correction."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vctool.features.settings import FeatureConfig
from vctool.models.timbre_vqvae.content import Content, bias
from vctool.models.timbre_vqvae.spectra import PITCHES, frequencies
from vctool.models.timbre_vqvae.style import COMPONENTS, HARMONICS, Instrument

POINTS = 32
"""Frequencies at which an instrument's envelope is given."""
REGISTERS = 4
"""Pitches between which an instrument's harmonic amplitudes are interpolated."""
BANDS = 48
"""Bands of noise and of the correction."""
QUIET_BEL = 4.0
"""How far below one that is fully active a pitch begins that is not at all [bel]."""
DILATIONS = (1, 2, 4, 8)
MOST_BEL = 1.5
"""The correction is at most this [bel]."""
LEAST_SERIES = 1e-10
"""Power of the decoder where nothing sounds."""


class Film(nn.Module):
    """A factor and an offset for every channel, from the style (Perez et al., 2018)."""

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.map = nn.Linear(style, 2 * channels)

    def forward(self, values: Tensor, style: Tensor) -> Tensor:
        """Apply it to (B, C, ...)."""
        shape = (len(values), -1, *[1] * (values.dim() - 2))
        factor, offset = self.map(style).view(len(values), 2, -1).unbind(1)
        return torch.addcmul(offset.view(shape), values, 1.0 + factor.view(shape))


class Shaper(nn.Module):
    """How loud every pitch is over time when a certain instrument plays it."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.begin = nn.Conv2d(4, channels, (3, 5), padding=(1, 2))
        self.films = nn.ModuleList(Film(style, channels) for _ in range(1 + len(DILATIONS)))
        self.over_time = nn.ModuleList(
            nn.Conv2d(channels, channels, (1, 3), padding=(0, d), dilation=(1, d))
            for d in DILATIONS
        )
        self.end = nn.Conv2d(channels, COMPONENTS, 1)

    def forward(self, content: Content, style: Tensor) -> tuple[Tensor, Tensor]:
        """Return log10 powers (B, COMPONENTS, PITCHES, F), and the channels they come from."""
        active = content.active
        place = torch.linspace(-1, 1, PITCHES, device=active.device)[:, None]
        told = [active, content.onset, content.energy.expand_as(active), place.expand_as(active)]
        x = torch.stack(told, dim=1).contiguous(memory_format=torch.channels_last)
        x = functional.leaky_relu(self.films[0](self.begin(x), style), 0.1, inplace=True)
        for film, over_time in zip(self.films[1:], self.over_time, strict=True):
            x = x + functional.leaky_relu(film(over_time(x), style), 0.1, inplace=True)
        bel = self.end(x) + QUIET_BEL * (active[:, None] - 1.0)
        return bel.clamp(-8.0, 2.0), x


class Decoder(nn.Module):
    """Content and an instrument to power spectra.

    Args:
        config: the feature settings.
        log_bins: bins by pitch.
        channels: per pitch.
        style: length of the style.
        measured: whether harmonic amplitudes begin at the measured ones.
    """

    orders: Tensor
    lobes: Tensor
    envelope: Tensor
    registers: Tensor
    to_bins: Tensor
    to_bands: Tensor

    def __init__(self, config: FeatureConfig, channels: int, style: int, measured: bool) -> None:
        super().__init__()
        self.measured = measured
        self.shaper = Shaper(channels, style)
        self.amplitudes = nn.Sequential(
            nn.Linear(style, 2 * style),
            nn.LeakyReLU(0.1),
            nn.Linear(2 * style, COMPONENTS * (POINTS + HARMONICS * REGISTERS)),
        )
        self.noise = nn.Sequential(
            nn.Linear(style, 2 * style), nn.LeakyReLU(0.1), nn.Linear(2 * style, COMPONENTS * BANDS)
        )
        pooled = 2 * channels + 1
        self.noise_begin = nn.Conv1d(pooled, 32, 5, padding=2)
        self.noise_film = Film(style, 32)
        self.noise_end = nn.Conv1d(32, COMPONENTS, 5, padding=2)
        self.rest_begin = nn.Conv1d(BANDS + pooled, 64, 3, padding=1)
        self.rest_film = Film(style, 64)
        self.rest_middle = nn.Conv1d(64, 64, 5, padding=2)
        self.rest_end = nn.Conv1d(64, BANDS, 1)
        nn.init.constant_(bias(self.noise_end), -3.0)
        with torch.no_grad():
            for last in (self.rest_end, list(self.amplitudes)[-1], list(self.noise)[-1]):
                for weight in last.parameters():
                    if weight.dim() > 1:
                        weight.mul_(0.1)
        self._tabulate(config)

    def _tabulate(self, config: FeatureConfig) -> None:
        bins = np.arange(1 + config.n_fft // 2) * config.rate / config.n_fft
        pitch = frequencies(PITCHES)
        order = np.maximum(1, np.round(bins / pitch[:, None]))
        away = np.abs(bins - order * pitch[:, None]) * config.window / config.rate
        keep = {
            "orders": torch.from_numpy((np.minimum(order, HARMONICS) - 1).astype(np.int64)),
            "lobes": torch.from_numpy(hann_lobe(away).astype(np.float32) ** 2),
        }
        nyquist = 0.5 * config.rate
        place = np.log2(np.minimum(pitch[:, None] * np.arange(1, HARMONICS + 1), nyquist) / 27.5)
        keep["envelope"] = hats(place / np.log2(nyquist / 27.5) * (POINTS - 1), POINTS)
        keep["registers"] = hats(np.linspace(0, REGISTERS - 1, PITCHES), REGISTERS)
        scale = np.log2(1 + bins / 200.0)
        keep["to_bins"] = hats(scale / scale[-1] * (BANDS - 1), BANDS)
        keep["to_bands"] = keep["to_bins"] / keep["to_bins"].sum(dim=0).clamp(min=1e-6)
        for name, values in keep.items():
            self.register_buffer(name, values, persistent=False)

    def forward(self, content: Content, instrument: Instrument) -> Tensor:
        """Return powers (B, K, F), relative to the level around."""
        style = instrument.style
        loud, x = self.shaper(content, style)
        pooled = torch.cat([x.mean(dim=2), x.amax(dim=2), content.energy], dim=1)
        count = len(style)
        table = self.amplitudes(style).view(count, COMPONENTS, -1)
        envelope, own = table[..., :POINTS], table[..., POINTS:]
        bel = torch.einsum("phn,bcn->bcph", self.envelope, envelope)
        own = own.reshape(count, COMPONENTS, HARMONICS, REGISTERS)
        bel = bel + torch.einsum("bchr,pr->bcph", own, self.registers)
        if self.measured:
            bel = bel + instrument.profile
        else:
            bel = bel - torch.log10(torch.arange(1, HARMONICS + 1, device=bel.device).float()) * 2
        shape = (count, COMPONENTS, *self.orders.shape)
        # gather's gradient takes half as long as that of indexing
        template = torch.pow(10.0, bel.clamp(-9, 3)).gather(3, self.orders.expand(shape))
        template = template * self.lobes
        power = torch.einsum("bcpk,bcpf->bkf", template, torch.pow(10.0, loud))
        noise = self.noise(style).view(count, COMPONENTS, BANDS)
        spectrum = torch.einsum("kn,bcn->bck", self.to_bins, noise).clamp(-6, 3)
        moves = functional.leaky_relu(self.noise_film(self.noise_begin(pooled), style), 0.1)
        moves = self.noise_end(moves).clamp(-9, 2)
        power = power + torch.einsum(
            "bck,bcf->bkf", torch.pow(10.0, spectrum), torch.pow(10.0, moves)
        )
        power = power + LEAST_SERIES
        bands = torch.einsum("kn,bkf->bnf", self.to_bands, torch.log10(power)) / 4.0
        rest = functional.leaky_relu(
            self.rest_film(self.rest_begin(torch.cat([bands, pooled], dim=1)), style), 0.1
        )
        rest = self.rest_end(functional.leaky_relu(self.rest_middle(rest), 0.1))
        rest = MOST_BEL * torch.tanh(rest / MOST_BEL)
        return power * torch.pow(10.0, torch.einsum("kn,bnf->bkf", self.to_bins, rest))


def hann_lobe(away: np.ndarray) -> np.ndarray:
    """Return the magnitude of the Hann window's transform, 1 at its centre.

    Args:
        away: distance from the centre, in multiples of the inverse of the window's length.
    """
    near = np.abs(away - 1.0) < 1e-6
    safe = np.where(near, 0.0, away)
    return np.abs(np.where(near, 0.5, np.sinc(safe) / (1.0 - safe**2)))


def hats(places: np.ndarray, count: int) -> Tensor:
    """Return the weights (..., count) of linear interpolation at places from 0 to count - 1."""
    rows = np.maximum(0.0, 1.0 - np.abs(np.asarray(places)[..., None] - np.arange(count)))
    return torch.from_numpy(rows.astype(np.float32))

"""Notes as content: how active every pitch is, rounded to a few levels."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vctool.models.timbre_vqvae.spectra import PER_OCTAVE, PITCHES, SEMITONES

SERIES = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
"""Multiples of a pitch at which its spectrum is looked at."""


class Content(NamedTuple):
    """What is kept of a source, each from 0 to 1."""

    active: Tensor
    """(B, PITCHES, F): how much a pitch sounds."""
    onset: Tensor
    """(B, PITCHES, F): how much it begins."""
    energy: Tensor
    """(B, 1, F): how loud the frame is."""

    def rounded(self, levels: int | None) -> "Content":
        """Round all to a number of levels, or to none; gradients pass straight through."""
        if levels is None:
            return self
        return Content(*(rounded(values, levels) for values in self))

    def moved(self, bins: int) -> "Content":
        """Move all pitches up; what leaves the range is left out."""
        if not bins:
            return self
        most = min(abs(bins), PITCHES)
        ends = (0, 0, most, 0) if bins > 0 else (0, 0, 0, most)
        kept = slice(0, PITCHES) if bins > 0 else slice(most, None)
        active, onset = (
            functional.pad(values, ends)[:, kept] for values in (self.active, self.onset)
        )
        return Content(active, onset, self.energy)

    def by_semitone(self) -> Tensor:
        """Return the most of each semitone's bins, and the loudness: (B, 2 * SEMITONES + 1, F)."""
        both = torch.cat([self.active, self.onset], dim=1)
        # a semitone's own bin is its middle one; none lies below that of the lowest
        around = functional.pad(both.unflatten(1, (2, PITCHES)), (0, 0, 1, 0))[:, :, :PITCHES]
        most = around.unflatten(2, (SEMITONES, -1)).amax(dim=3)
        return torch.cat([most.flatten(1, 2), self.energy], dim=1)


def rounded(values: Tensor, levels: int) -> Tensor:
    """Round values from 0 to 1 to a number of levels; gradients pass straight through."""
    near = torch.round(values * (levels - 1)) / (levels - 1)
    return values + (near - values).detach()


def bias(layer: nn.Module) -> Tensor:
    """Return the bias of a layer that has one."""
    assert isinstance(layer.bias, Tensor)
    return layer.bias


class Series(nn.Module):
    """How far spectra stand out at the multiples of every pitch; it has no weights.

    Args:
        log_bins: bins by pitch.
    """

    smooth: Tensor

    def __init__(self, log_bins: int) -> None:
        super().__init__()
        place = np.arange(log_bins)
        near = (np.abs(place - place[:, None]) <= PER_OCTAVE).astype(np.float32)
        near /= near.sum(axis=1, keepdims=True)
        self.register_buffer("smooth", torch.from_numpy(near), persistent=False)
        self.offsets = [round(PER_OCTAVE * math.log2(one)) for one in SERIES]

    def forward(self, logs: Tensor) -> Tensor:
        """Look at spectra by pitch (B, L, F).

        Returns:
            (B, len(SERIES), PITCHES, F) [bel] above the mean of two octaves, none below 0.
        """
        white = (logs - self.smooth @ logs).clamp(min=0.0)
        low, high = -min(self.offsets), max(self.offsets) + PITCHES - logs.shape[1]
        ladder = functional.pad(white, (0, 0, low, max(0, high)))
        places = (slice(low + one, low + one + PITCHES) for one in self.offsets)
        return torch.stack([ladder[:, place] for place in places], dim=1)

    def tonality(self, logs: Tensor) -> Tensor:
        """Return how far harmonics stand out of a spectrum by pitch (B, L, F): (B, F) [bel].

        The mean over five harmonics of the pitch that has most: about 0.4 of noise, 0.6 of drums,
        and 1.4 to 4 of instruments with a pitch.
        """
        first = SERIES.index(1.0)
        return self(logs)[:, first : first + 5].mean(dim=1).amax(dim=1)


class Finder(nn.Module):
    """Finds how active every pitch is.

    Args:
        log_bins: bins by pitch.
        channels: of its layers.
    """

    def __init__(self, log_bins: int, channels: int) -> None:
        super().__init__()
        self.series = Series(log_bins)
        self.layers = nn.Sequential(
            nn.Conv2d(len(SERIES) + 1, channels, (5, 3), padding=(2, 1)),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(channels, channels, (3, 3), padding=1),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(channels, 2, (5, 1), padding=(2, 0)),
        )
        nn.init.constant_(bias(self.layers[-1]), -2.0)

    def forward(self, logs: Tensor, energy: Tensor) -> Content:
        """Find the content of a spectrum by pitch, not rounded.

        Args:
            logs: (B, L, F), as `Spectra.logs` gives.
            energy: (B, 1, F) log10 power of the frames over the level around.
        """
        series = self.series(logs)
        stack = torch.cat([series, logs[:, None, :PITCHES] / 4.0], dim=1)
        # this layout takes a CPU half the time
        found = torch.sigmoid(self.layers(stack.contiguous(memory_format=torch.channels_last)))
        loud = ((energy + 4.5) / 5.0).clamp(0.0, 1.0)
        return Content(found[:, 0], found[:, 1], loud)

"""An instrument as style: a vector, and the harmonic amplitudes that are measured of it."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vctool.models.timbre_vqvae.content import Content
from vctool.models.timbre_vqvae.spectra import PER_OCTAVE, PER_SEMITONE, PITCHES

HARMONICS = 40
"""Harmonics with an amplitude of their own; those above have that of the last."""
COMPONENTS = 2
"""Harmonic spectra, and noises, of an instrument: as of its attack and of what follows."""
NEVER = -9.0
"""Log10 power of harmonics above half the rate."""
NEAR_SEMITONES = 5.0
"""Width of the register that a measured amplitude counts for [semitones]."""


class Instrument(NamedTuple):
    """What is known of a reference."""

    style: Tensor
    """(B, S)."""
    profile: Tensor
    """(B, COMPONENTS, PITCHES, HARMONICS) measured log10 power of harmonics; of each pitch they sum
    up to 1."""


class Profiler(nn.Module):
    """Measures the harmonic amplitudes of what plays, where few pitches sound at once."""

    places: Tensor
    beyond: Tensor
    near: Tensor

    def __init__(self, log_bins: int) -> None:
        super().__init__()
        pitch, order = np.arange(PITCHES)[:, None], np.arange(1, HARMONICS + 1)
        place = pitch + np.round(PER_OCTAVE * np.log2(order)).astype(int)
        self.register_buffer(
            "places", torch.from_numpy(np.minimum(place, log_bins - 1)), persistent=False
        )
        self.register_buffer("beyond", torch.from_numpy(place >= log_bins), persistent=False)
        apart = (pitch - pitch.T) / (NEAR_SEMITONES * PER_SEMITONE)
        near = np.exp(-0.5 * apart**2) + 1e-4  # far ones count where there are no others
        self.register_buffer("near", torch.from_numpy(near.astype(np.float32)), persistent=False)

    def forward(self, logs: Tensor, content: Content) -> Tensor:
        """Return (B, COMPONENTS, PITCHES, HARMONICS) log10 power; see `Instrument`."""
        # what sounds alone tells most: its share of all that sounds
        alone = content.active.square() / (content.active.sum(dim=1, keepdim=True) + 0.5)
        begins = content.onset.square() / (content.onset.sum(dim=1, keepdim=True) + 0.5)
        weight = torch.stack([alone, begins], dim=1) + 1e-6
        seen = torch.einsum("bcpf,blf->bcpl", weight, logs)
        at = self.places.expand(*seen.shape[:2], -1, -1)
        total = torch.einsum("pq,bcqh->bcph", self.near, seen.gather(3, at))
        count = torch.einsum("pq,bcq->bcp", self.near, weight.sum(dim=3))
        mean = (total / count[..., None]).masked_fill(self.beyond, NEVER)
        return mean - torch.logsumexp(mean * math.log(10), dim=3, keepdim=True) / math.log(10)


class Listener(nn.Module):
    """Describes an instrument by a vector: a network over time, pooled.

    Args:
        log_bins: bins by pitch.
        style: length of the vector.
    """

    def __init__(self, log_bins: int, style: int) -> None:
        super().__init__()
        self.semitones = log_bins // PER_SEMITONE
        hidden = 2 * style
        self.layers = nn.Sequential(
            nn.Conv1d(self.semitones + 3, hidden, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv1d(hidden, hidden, 5, padding=2),
            nn.LeakyReLU(0.1),
        )
        self.out = nn.Sequential(
            nn.Linear(2 * hidden + COMPONENTS * HARMONICS, hidden),
            nn.LeakyReLU(0.1),
            nn.Linear(hidden, style),
        )

    def forward(self, logs: Tensor, energy: Tensor, content: Content, profile: Tensor) -> Tensor:
        """Return (B, style).

        Args:
            logs: (B, L, F), as `Spectra.logs` gives.
            energy: (B, 1, F) log10 power of the frames over the level around.
            content: of the same sound.
            profile: as `Profiler` measures.
        """
        count = self.semitones * PER_SEMITONE
        by_semitone = logs[:, :count].unflatten(1, (-1, PER_SEMITONE)).mean(dim=2)
        told = torch.stack([content.active.amax(1), content.onset.amax(1)], dim=1)
        seen = self.layers(torch.cat([by_semitone / 4.0, told, energy], dim=1))
        weight = told[:, :1] + content.energy.square() * 0.1 + 1e-4
        weight = weight / weight.sum(dim=2, keepdim=True)
        mean = (seen * weight).sum(dim=2)
        spread = ((seen - mean[:, :, None]).square() * weight).sum(dim=2)
        # the mean over pitches, weighted as they were heard, is in the profile of each
        shape = profile.clamp(min=-6.0).mean(dim=2).flatten(1) / 4.0
        made: Tensor = self.out(torch.cat([mean, (spread + 1e-6).sqrt(), shape], dim=1))
        return made

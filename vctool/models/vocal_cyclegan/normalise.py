"""Statistics of a domain: means, deviations, bandwidth and note transitions."""

import numpy as np
import torch
from torch import Tensor, nn

from vctool.models.vocal_cyclegan.melody import NOTES, count_transitions
from vctool.models.vocal_cyclegan.ornaments import Ornaments, level_of, measure
from vctool.models.vocal_cyclegan.streams import Layout

AUDIBLE_DB = 55.0
"""A domain carries a band that comes within this of the domain's strongest band [dB]."""
EDGE_BANDS, EDGE_SHARE = 2, 0.13
"""Bands below a missing one, by number and by share of its frequency, that lie on a filter's slope
or in the ripple of a coded envelope, and so reveal the bandwidth as the missing one does."""


class Domain(nn.Module):
    """Statistics of one domain's training clips, kept as buffers so that checkpoints carry them.

    Args:
        layout: the voice's channels.
        condition_channels: the accompaniment's channels, the last twelve chroma; 0 for none.
        frame_rate: frames per second [Hz].
        ornamented: measure ornaments of notes too.
    """

    def __init__(
        self, layout: Layout, condition_channels: int, frame_rate: float, ornamented: bool
    ) -> None:
        super().__init__()
        self.layout = layout
        self.frame_rate = frame_rate
        self.register_buffer("mean", torch.zeros(layout.spectrum))
        self.register_buffer("spread", torch.ones(layout.spectrum))
        self.register_buffer("condition_mean", torch.zeros(condition_channels))
        self.register_buffer("condition_spread", torch.ones(condition_channels))
        self.register_buffer("note_mean", torch.tensor(57.0))
        self.register_buffer("note_spread", torch.tensor(4.0))
        self.register_buffer("contour_spread", torch.tensor(2.0))
        self.register_buffer("transitions", torch.zeros(2 * NOTES - 1))
        plain = torch.zeros(len(Ornaments._fields))
        self.register_buffer("ornaments", plain if ornamented else None)

    mean: Tensor
    spread: Tensor
    condition_mean: Tensor
    condition_spread: Tensor
    note_mean: Tensor
    note_spread: Tensor
    contour_spread: Tensor
    transitions: Tensor
    ornaments: Tensor | None

    @torch.no_grad()
    def measure(self, voice: Tensor, condition: Tensor) -> None:
        """Take the statistics from clips.

        Args:
            voice: (B, C, F) channels of the voice.
            condition: (B, K, F) channels of accompaniments; K may be 0.
        """
        spectrum = voice[:, : self.layout.spectrum].double()
        self.mean.copy_(spectrum.mean(dim=(0, 2)))
        self.spread.copy_(spectrum.std(dim=(0, 2)).clamp_min(1.0))
        if condition.shape[1]:
            self.condition_mean.copy_(condition.double().mean(dim=(0, 2)))
            spread = condition.double().std(dim=(0, 2))
            least = torch.ones_like(spread)
            least[-12:] = 0.01  # chroma are shares, the rest is in dB
            self.condition_spread.copy_(spread.maximum(least))
        if self.layout.kind != "world":
            return
        notes, voiced = voice[:, self.layout.note], voice[:, self.layout.voiced]
        mask = voiced > 0
        if not mask.any():
            return
        self.note_mean.copy_(notes[mask].mean())
        self.note_spread.copy_(notes[mask].std().clamp_min(1.0))
        # Within an utterance: the spread over all would hold the difference between speakers too.
        inside = notes - voice[:, self.layout.mean_note]
        self.contour_spread.copy_(inside[mask].std().clamp_min(0.5))
        self.transitions.copy_(count_transitions(notes, voiced))
        if self.ornaments is not None:
            pitch, sounds = notes.numpy(force=True), mask.numpy(force=True)
            found = measure(pitch, sounds, self.level(voice), self.frame_rate)
            self.ornaments.copy_(torch.tensor(found))

    def level(self, voice: Tensor) -> np.ndarray:
        """Return the level (B, F) [dB] of (B, C, F), bands first, in which syllables stand out."""
        bands = voice[:, : self.layout.bands].float().numpy(force=True)
        return level_of(bands, np.array(self.layout.frequencies[: self.layout.bands]))

    def how(self) -> Ornaments:
        """Return the ornaments of the domain's notes; it must have them."""
        assert self.ornaments is not None
        return Ornaments(*self.ornaments.tolist())

    def normalise(self, spectrum: Tensor) -> Tensor:
        """Bring (B, spectrum, F) [dB] to zero mean and unit spread per channel."""
        return (spectrum - self.mean[None, :, None]) / self.spread[None, :, None]

    def restore(self, spectrum: Tensor) -> Tensor:
        """Undo `normalise`."""
        return spectrum * self.spread[None, :, None] + self.mean[None, :, None]

    def normalise_note(self, notes: Tensor) -> Tensor:
        """Bring MIDI notes to zero mean and unit spread."""
        return (notes - self.note_mean) / self.note_spread

    def normalise_condition(self, condition: Tensor) -> Tensor:
        """Bring (B, K, F) accompaniment channels to zero mean and unit spread per channel."""
        mean, spread = self.condition_mean[None, :, None], self.condition_spread[None, :, None]
        return (condition - mean) / spread


def shared_bands(speech: Tensor, singing: Tensor, layout: Layout) -> Tensor:
    """Find the channels that both domains carry.

    Speech recorded at 16 kHz differs from singing at 44.1 kHz by bandwidth alone, and a
    discriminator that sees it teaches a generator nothing else. A band counts as carried where its
    loud frames (95th percentile) come within `AUDIBLE_DB` of the domain's strongest band, and no
    band at or just above it is missing (`EDGE_BANDS`, `EDGE_SHARE`).

    Args:
        speech: (B, C, F) channels of the voice.
        singing: the same of the other domain.
        layout: the voice's channels.

    Returns:
        (spectrum,) bool; an aperiodicity is shared where the band at its frequency is.
    """
    carried = []
    for voice in (speech, singing):
        bands = voice[:, : layout.bands].transpose(0, 1).flatten(1)
        # numpy's quantile: torch's refuses more than 2^24 values.
        loud = torch.sort(bands, dim=1).values[:, int(0.95 * (bands.shape[1] - 1))]
        carried.append(loud > loud.max() - AUDIBLE_DB)
    both = carried[0] & carried[1]
    centres = torch.tensor(layout.frequencies, device=both.device)
    bands, aperiodicities = centres[: layout.bands], centres[layout.bands :]
    for missing in torch.nonzero(~both)[:, 0].tolist():
        low = (bands > (1.0 - EDGE_SHARE) * bands[missing]) & (bands < bands[missing])
        low[max(missing - EDGE_BANDS, 0) : missing] = True
        both = both & ~low
    nearest = (aperiodicities[:, None] - bands).abs().argmin(dim=1)
    return torch.cat([both, both[nearest]])

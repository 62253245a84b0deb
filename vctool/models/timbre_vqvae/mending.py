"""What a conversion takes from its reference and its source beside the decoder's spectra.

None of it is trained. The decoder is the mean of what it was taught, so what it gets wrong of an
instrument is heard when it plays the reference's own notes, and is made up for where it plays
alike: its envelope, where what it makes has a like envelope, and of a single pitch also its
partials and what lies between, moved to where the pitch is (`Mender`). And what it is told of
chords is unsure: there activity is spread over many pitches, and the source's own partials, under
the envelope that the decoder makes, take the place of its blurred ones (`blended`). Of melodies
what hardly sounds is not played at all (`cleared`). All constants were chosen on dev tunes of
`nottingham_gm`.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vctool.features.mel_bands import MelBands
from vctool.features.settings import FeatureConfig
from vctool.models.timbre_vqvae.content import Content
from vctool.models.timbre_vqvae.spectra import PER_OCTAVE, PER_SEMITONE, PITCHES, Spectra

SOUNDING = 1e-4
"""Frames with this share of the power around them count of a reference."""
QUIET = 1e-8
"""Added to powers before the logarithm of an envelope."""
BANDS = 128
"""Mel bands of envelopes that lack."""
BROAD = 8
"""Bands on end that frames are told to be alike by."""
LEAST_BEL = -6.0
"""What lies below this is alike [bel]."""
ALIKE_BEL = 0.18
"""Distance over which what the decoder makes is alike: root mean square of broad bands [bel]."""
NEAR_SEMITONES = 12.0
"""Distance over which pitches have like partials [semitones]."""
FRAMES_NEEDED = 0.12
"""So many frames that are alike make up for half of what lacks."""
MOST_BEL = 2.0
"""Partials are moved at most this far [bel]."""
ENVELOPE_BANDS = 32
"""Mel bands of the envelopes that partials are told from."""
FAINT = 1e-10
"""Added to powers before the logarithm that partials are told in."""
SHARE = 0.1
"""Least share of the source in the partials of a conversion, in log power: it is nearer to the
target so than without, as a mean of two estimates is."""
UNSURE_SHARE = 0.8
"""Its share in the partials where the pitches are unsure."""
SURE, UNSURE = 3.0, 6.0
"""Pitches that activity is spread over, as a melody's and as a chord's [semitones]."""
AROUND = 17
"""Over so many frames that spread is smoothed."""
LEAST_ACTIVE = 0.3
"""Pitches of a melody that are less active than this are not played."""


class Lacking(NamedTuple):
    """What the decoder lacks of a reference that it plays itself: of G frames that sound."""

    keys: Tensor
    """(BANDS // BROAD, G) what it makes, in broad bands [bel]."""
    envelope: Tensor
    """(BANDS, G) how far that lies below the reference [bel]."""
    partials: Tensor
    """(L + PITCHES, G) how far it still does, by pitch, where row PITCHES is the pitch played."""
    pitch: Tensor
    """(G,) the bin of that pitch, a whole number."""
    sure: Tensor
    """(G,) how far it is the only one, from 0 to 1."""


class Mender(nn.Module):
    """Makes up for what the decoder lacks of a reference; it has no weights.

    Args:
        config: the feature settings.
        spectra: their transforms.
    """

    near: Tensor
    below: Tensor
    above: Tensor

    def __init__(self, config: FeatureConfig, spectra: Spectra) -> None:
        super().__init__()
        self.spectra, self.bands = spectra, MelBands(config, BANDS)
        bins = np.arange(spectra.bins) * spectra.rate / spectra.n_fft
        place = PER_OCTAVE * np.log2(np.maximum(bins, 27.5) / 27.5)
        place = np.minimum(place, spectra.log_bins - 1)
        below = np.minimum(place.astype(np.int64), spectra.log_bins - 2)
        self.register_buffer("below", torch.from_numpy(below), persistent=False)
        above = torch.from_numpy((place - below).astype(np.float32))[:, None]
        self.register_buffer("above", above, persistent=False)
        away = torch.arange(-9.0, 10.0)
        near = torch.exp(-0.5 * (away / 3.0) ** 2)
        self.register_buffer("near", near / near.sum(), persistent=False)

    def compare(self, real: Tensor, made: Tensor, active: Tensor) -> Lacking:
        """Find what the decoder lacks.

        Args:
            real: (1, K, G) powers of the reference, over the level around.
            made: the same, decoded from its own notes and style.
            active: (1, PITCHES, G) these notes.
        """
        sounds = real[0].sum(dim=0) > SOUNDING
        real, made, active = (one[0][:, sounds] for one in (real, made, active))
        sure = active.amax(dim=0) * (1.0 - unsure(active[None])[0, 0])
        pitch = active.argmax(dim=0).to(real.dtype)
        logs = [torch.log10(self.bands(one[None])[0] + QUIET) for one in (real, made)]
        found = Lacking(self._keys(made), logs[0] - logs[1], made[:0], pitch, sure)
        mended = made * torch.pow(10.0, self.bands.spread(self._envelope(found, made)[None])[0])
        rest = self.spectra.logs(real[None])[0] - self.spectra.logs(mended[None])[0]
        rows = torch.arange(len(rest), device=rest.device)[:, None] - pitch.long() + PITCHES
        partials = rest.new_zeros(len(rest) + PITCHES, rest.shape[1]).scatter(0, rows, rest)
        return found._replace(partials=partials)

    def mend(self, power: Tensor, active: Tensor, lacking: Lacking) -> Tensor:
        """Return powers (1, K, F) of notes (1, PITCHES, F) with what lacks made up for."""
        made, active = power[0], active[0]
        mended = made * torch.pow(10.0, self.bands.spread(self._envelope(lacking, made)[None])[0])
        by_pitch = self._partials(lacking, made, active)
        low, high = by_pitch[self.below], by_pitch[self.below + 1]
        return (mended * torch.pow(10.0, low + (high - low) * self.above))[None]

    def _keys(self, made: Tensor) -> Tensor:
        """Return powers (K, F) in broad bands [bel]."""
        logs = torch.log10(self.bands(made[None]) + FAINT).clamp(min=LEAST_BEL)
        return logs[0].unflatten(0, (-1, BROAD)).mean(dim=1)

    def _alike(self, lacking: Lacking, made: Tensor) -> Tensor:
        """Return how far what is made (K, F) is like that of the reference's frames: (G, F)."""
        keys = self._keys(made)
        distance = torch.cdist(lacking.keys.T, keys.T).square() / len(keys)
        return torch.exp(-0.5 * distance / ALIKE_BEL**2)

    def _envelope(self, lacking: Lacking, made: Tensor) -> Tensor:
        """Return what lacks of powers (K, F): (BANDS, F) [bel]; where none is alike, the mean."""
        weight = self._alike(lacking, made)
        mean = lacking.envelope.sum(dim=1, keepdim=True) / max(1, lacking.envelope.shape[1])
        total = lacking.envelope @ weight + FRAMES_NEEDED * mean
        found = total / (weight.sum(dim=0) + FRAMES_NEEDED)
        reach = len(self.near) // 2
        padded = functional.pad(found.T[:, None], (reach, reach), mode="replicate")
        return functional.conv1d(padded, self.near[None, None])[:, 0].T

    def _partials(self, lacking: Lacking, made: Tensor, active: Tensor) -> Tensor:
        """Return what lacks by pitch of powers (K, F) and their notes (PITCHES, F): (L, F)."""
        pitch, count = active.argmax(dim=0), self.spectra.log_bins
        away = (lacking.pitch[:, None] - pitch) / (NEAR_SEMITONES * PER_SEMITONE)
        weight = self._alike(lacking, made) * torch.exp(-0.5 * away.square())
        weight = weight * lacking.sure[:, None]
        rows = torch.arange(count + PITCHES, device=made.device)[:, None] + lacking.pitch - PITCHES
        known = ((rows >= 0) & (rows < count)).to(made.dtype)
        found = (lacking.partials @ weight) / (known @ weight + FRAMES_NEEDED)
        found = found.gather(0, torch.arange(count, device=made.device)[:, None] - pitch + PITCHES)
        sure = active.amax(dim=0) * (1.0 - unsure(active[None])[0, 0])
        return found.clamp(-MOST_BEL, MOST_BEL) * sure


def cleared(content: Content) -> Content:
    """Leave out the pitches of a melody that are hardly active: echoes and ends of other notes.

    Of a chord all stay, since there activity is faint because it is spread.
    """
    least = LEAST_ACTIVE * (1.0 - unsure(content.active))
    return content._replace(active=content.active * (content.active >= least))


def unsure(active: Tensor) -> Tensor:
    """Tell how far notes (B, N, F) are a chord's, spread over many pitches: (B, 1, F), 0 to 1.

    N is the number of semitones, or of bins of pitch.
    """
    if active.shape[1] == PITCHES:
        active = functional.pad(active, (0, 0, 1, 0))[:, :PITCHES].unflatten(1, (-1, PER_SEMITONE))
        active = active.amax(dim=2)
    spread = active.sum(dim=1, keepdim=True).square()
    spread = spread / (active.square().sum(dim=1, keepdim=True) + 1e-3)
    spread = functional.avg_pool1d(spread, AROUND, 1, AROUND // 2, count_include_pad=False)
    return ((spread - SURE) / (UNSURE - SURE)).clamp(0.0, 1.0)


def blended(made: Tensor, own: Tensor, active: Tensor, bands: MelBands) -> Tensor:
    """Mix the partials of a conversion with its source's, under the conversion's envelope.

    Args:
        made: (B, K, F) over the level around.
        own: the source's, where its pitch is to stay.
        active: (B, SEMITONES, F) how much every pitch sounds.
        bands: `ENVELOPE_BANDS` of them.
    """
    share = SHARE + (UNSURE_SHARE - SHARE) * unsure(active)
    one, other = (bands.curve(power, FAINT) for power in (made, own))
    partials = (1.0 - share) * (torch.log10(made + FAINT) - one)
    partials = partials + share * (torch.log10(own + FAINT) - other)
    return torch.pow(10.0, one + partials)

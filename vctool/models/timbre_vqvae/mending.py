"""What a conversion takes from its reference and its source beside the decoder's spectra.

None of it is trained. The decoder is the mean of what it was taught, so what it gets wrong of an
instrument is heard when it plays the reference's own notes, and is made up for (`shortfall`). And
what it is told of chords is unsure: there activity is spread over many pitches, and the source's
own partials, under the envelope that the decoder makes, take the place of its blurred ones
(`blended`). All constants were chosen on dev triplets of `nottingham_gm`.
"""

import torch
from torch import Tensor
from torch.nn import functional

from vctool.features.mel_bands import MelBands

SOUNDING = 1e-4
"""Frames with this share of the power around them count for a reference's shortfall."""
QUIET = 1e-8
"""Added to powers before the logarithm of a shortfall."""
ENVELOPE_BANDS = 32
"""Mel bands of the envelopes that partials are told from."""
FAINT = 1e-10
"""Added to powers before the logarithm that partials are told in."""
SHARE = 0.1
"""Least share of the source in a conversion, in log power: it is nearer to the target so than
without, as a mean of two estimates is."""
UNSURE_SHARE = 0.5
"""Its share in the partials where the pitches are unsure."""
SURE, UNSURE = 3.0, 6.0
"""Pitches that activity is spread over, as a melody's and as a chord's [semitones]."""
AROUND = 17
"""Over so many frames that spread is smoothed."""


def shortfall(real: Tensor, made: Tensor, bands: MelBands) -> Tensor:
    """Return how far the decoder lies below a reference that it plays itself.

    Args:
        real: (1, K, F) powers of the reference, over the level around.
        made: the same, decoded from its own notes and style.
        bands: that it is measured in.

    Returns:
        (1, M) mean difference over sounding frames, smoothed over neighbouring bands [bel].
    """
    sounding = (real.sum(dim=1) > SOUNDING).to(real.dtype)
    one, other = (torch.log10(bands(power) + QUIET) for power in (real, made))
    mean = ((one - other) * sounding[:, None]).sum(dim=2) / sounding.sum().clamp(min=1.0)
    place = torch.arange(-9.0, 10.0, device=real.device)
    near = torch.exp(-0.5 * (place / 3.0) ** 2)
    padded = functional.pad(mean[:, None], (9, 9), mode="replicate")
    return functional.conv1d(padded, (near / near.sum())[None, None])[:, 0]


def made_up(power: Tensor, lacking: Tensor, bands: MelBands) -> Tensor:
    """Return powers (B, K, F) with what `shortfall` (B, M) has found added."""
    return power * torch.pow(10.0, bands.spread(lacking[:, :, None]))


def blended(made: Tensor, own: Tensor, active: Tensor, bands: MelBands) -> Tensor:
    """Mix the powers of a conversion with its source's, partials apart from envelopes.

    Args:
        made: (B, K, F) over the level around.
        own: the source's, where its pitch is to stay.
        active: (B, SEMITONES, F) how much every pitch sounds.
        bands: `ENVELOPE_BANDS` of them.
    """
    spread = active.sum(dim=1, keepdim=True).square()
    spread = spread / (active.square().sum(dim=1, keepdim=True) + 1e-3)
    spread = functional.avg_pool1d(spread, AROUND, 1, AROUND // 2, count_include_pad=False)
    unsure = ((spread - SURE) / (UNSURE - SURE)).clamp(0.0, 1.0)
    share = SHARE + (UNSURE_SHARE - SHARE) * unsure
    one, other = (bands.curve(power, FAINT) for power in (made, own))
    envelope = (1.0 - SHARE) * one + SHARE * other
    partials = (1.0 - share) * (torch.log10(made + FAINT) - one)
    partials = partials + share * (torch.log10(own + FAINT) - other)
    return torch.pow(10.0, envelope + partials)

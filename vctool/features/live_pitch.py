"""F0 from the past alone, by the normalised autocorrelation of a few dozen milliseconds.

After Boersma, "Accurate short-term analysis of the fundamental frequency" (1993): the
autocorrelation of a windowed frame over that of the window. It is a cosine series of the power
spectrum, so any lag can be asked for, here evenly spaced in log-frequency.
"""

import math

import torch
from torch import Tensor, nn

HOPS = 4
"""Hops in a frame."""
LOWEST_RATE = 8000.0
"""Sound is averaged down to no less than this rate [Hz]."""
HIGHEST = 2000.0
"""Highest frequency that counts [Hz]."""
PER_OCTAVE = 36
"""Lags in an octave."""
OCTAVE_COST = 0.03
"""Likeness that an octave down must add, so that a multiple of the period is not taken for it."""
VOICED, SOFTNESS = 0.55, 0.06
"""Likeness of a frame with itself one period later, from 0 to 1, at which it is half voiced; and
how slowly voicing changes around it."""
LARGEST = 4.0
"""Samples beyond this count as this."""
QUIET = 1e-7
"""Power at which a frame is half as alike as it would be; that of a full-scale sine is some 1e4."""
SAMPLE_BITS, BASIS_BITS, SPECTRUM_BITS, SHARE_BITS, LAG_BITS = 23, 14, 15, 26, 20
"""Binary places that are kept of samples, of the transform, of what it gives, of the shares of
frequencies in the power, and of the series."""


class Pitch(nn.Module):
    """F0 and voicing of frames (..., 4 * hop).

    Args:
        rate: sampling rate [Hz].
        hop: a quarter of a frame [samples].
        floor: lowest F0 [Hz].
        ceil: highest F0 [Hz].
    """

    project: Tensor
    to_lags: Tensor
    f0s: Tensor
    cost: Tensor

    def __init__(self, rate: int, hop: int, floor: float, ceil: float) -> None:
        super().__init__()
        length = HOPS * hop
        every = max(int(rate / LOWEST_RATE), 1)
        while length % every:
            every -= 1
        count = length // every
        seconds = count * every / rate
        floor = max(floor, 2.0 / seconds)  # two periods of the lowest fit
        lags = 1 + math.ceil(PER_OCTAVE * math.log2(ceil / floor))
        f0s = floor * 2 ** (torch.arange(lags, dtype=torch.float64) / PER_OCTAVE)
        window = torch.hann_window(count, dtype=torch.float64)
        hz = torch.arange(1, count + 1, dtype=torch.float64) / (2 * seconds)
        hz = hz[(hz >= 0.5 * floor) & (hz <= min(HIGHEST, 0.4 * rate / every))]
        time = torch.arange(count, dtype=torch.float64) * every / rate
        angle = 2 * math.pi * time[:, None] * hz
        project = torch.cat([angle.cos(), angle.sin()], dim=1) * window[:, None]
        self.every = every
        own = torch.nn.functional.conv1d(window[None, None], window[None, None], padding=count - 1)[
            0, 0, count - 1 :
        ]
        at = (rate / every) / f0s
        low = at.long()
        share = at - low
        overlap = ((1 - share) * own[low] + share * own[low + 1]) / own[0]
        to_lags = torch.cos(2 * math.pi * hz[:, None] / f0s) / overlap
        self.register_buffer("project", _rounded(project, BASIS_BITS), persistent=False)
        self.register_buffer("to_lags", _rounded(to_lags, LAG_BITS), persistent=False)
        self.register_buffer("f0s", f0s.float(), persistent=False)
        cost = OCTAVE_COST * torch.log2(ceil / f0s)
        self.register_buffer("cost", cost.float(), persistent=False)

    @torch.no_grad()
    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return F0 [Hz], never 0, and voicing from 0 to 1, each (...) of frames (..., 4 * hop)."""
        alike = self.likeness(frames)
        judged = alike - self.cost
        best = judged.argmax(dim=-1, keepdim=True).clamp(1, self.f0s.shape[0] - 2)
        left, middle, right = (judged.gather(-1, best + step) for step in (-1, 0, 1))
        bend = (left - 2 * middle + right).clamp(max=-1e-6)
        move = (0.5 * (left - right) / bend).clamp(-0.5, 0.5)
        # in float64 and rounded, as F0 whose last bits vary would let phases drift
        f0 = self.f0s[best].double() * torch.exp(move.double() * (math.log(2) / PER_OCTAVE))
        likeness = alike.gather(-1, best)
        return f0[..., 0].float(), torch.sigmoid((likeness - VOICED) / SOFTNESS)[..., 0]

    def likeness(self, frames: Tensor) -> Tensor:
        """Return how alike frames (..., 4 * hop) are with themselves a period later: (..., lags).

        Exact: the same to the bit, whatever frames come beside them and whatever computes it.
        """
        whole = _rounded(frames.double().clamp(-LARGEST, LARGEST), SAMPLE_BITS)
        sums = whole.unflatten(-1, (-1, self.every)).sum(dim=-1)
        spectrum = (sums @ self.project) / self.every
        spectrum = _rounded(spectrum, SPECTRUM_BITS - SAMPLE_BITS - BASIS_BITS)
        real, imaginary = spectrum.chunk(2, dim=-1)
        power = real.square() + imaginary.square()
        total = power.sum(dim=-1, keepdim=True) + QUIET * 4**SPECTRUM_BITS
        shares = _rounded(power / total, SHARE_BITS)
        return ((shares @ self.to_lags) * 0.5 ** (SHARE_BITS + LAG_BITS)).float()


def _rounded(values: Tensor, bits: int) -> Tensor:
    """Return float64 values in whole units of 2^-bits."""
    return (values.double() * 2.0**bits).round()

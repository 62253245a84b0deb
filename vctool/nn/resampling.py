"""Resampling of sound that gradients go through: band-limited interpolation by a windowed sinc.

Smith, "Digital Audio Resampling" (2002). Analysis of recordings, which needs no gradient, uses
soxr (`vctool.audio.resampling`).
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

ZEROS = 6
"""Zero crossings of the sinc on either side of its middle."""
ROLLOFF = 0.99
"""Cut-off frequency over the lower of the two Nyquist frequencies."""


def resample(wave: Tensor, rate: int, new_rate: int) -> Tensor:
    """Resample the last axis.

    Args:
        wave: (..., T) floats.
        rate: its sampling rate [Hz].
        new_rate: the wanted one [Hz].

    Returns:
        (..., ceil(T * new_rate / rate)), of the same type.
    """
    if rate == new_rate:
        return wave
    common = math.gcd(rate, new_rate)
    old, new = rate // common, new_rate // common
    kernels, reach = _kernels(old, new)
    shape, samples = wave.shape[:-1], wave.shape[-1]
    flat = torch.nn.functional.pad(wave.reshape(-1, samples), (reach, reach + old))
    phases = torch.nn.functional.conv1d(flat[:, None], kernels.to(wave), stride=old)
    made = phases.transpose(1, 2).reshape(*shape, -1)
    return made[..., : math.ceil(new * samples / old)]


@lru_cache
def _kernels(old: int, new: int) -> tuple[Tensor, int]:
    """Return a filter for each of the `new` outputs that fall on `old` samples: (new, 1, K).

    Also returns how far they reach before the first of these samples.
    """
    cutoff = ROLLOFF * min(old, new)
    reach = math.ceil(ZEROS * old / cutoff)
    # in single precision, so that features of before stay as they are, to the bit
    taps = torch.arange(-reach, reach + old, dtype=torch.float32) / old
    moments = torch.arange(0, -new, -1, dtype=torch.float32) / new
    crossings = ((moments[:, None] + taps) * cutoff).clamp(-ZEROS, ZEROS)
    window = torch.cos(crossings * math.pi / ZEROS / 2) ** 2
    angles = crossings * math.pi
    sinc = torch.where(angles == 0, torch.ones(()), angles.sin() / angles)
    return (sinc * (window * (cutoff / old)))[:, None], reach

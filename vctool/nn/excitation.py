"""Excitation of a source-filter vocoder: a pulse train that follows F0, and noise.

Source and filter as in neural source-filter models (Wang, Takaki and Yamagishi, 2019) and DDSP
(Engel et al., 2020); both have unit variance and a flat spectrum, so that one filter serves both.
"""

import math

import torch
from torch import Tensor


def interpolate_frames(values: Tensor, hop: int) -> Tensor:
    """Interpolate frames (B, F), centred in their hops, linearly to samples (B, F * hop).

    Before the first centre and after the last one the value is held.
    """
    frames = values.shape[-1]
    place = (torch.arange(frames * hop, device=values.device) - hop // 2) / hop
    place = place.clamp(0, frames - 1)
    low = place.long().clamp(max=max(frames - 2, 0))
    high = (low + 1).clamp(max=frames - 1)
    return torch.lerp(values[:, low], values[:, high], (place - low).to(values.dtype))


def pulses(f0: Tensor, hop: int, rate: int) -> Tensor:
    """Sum all harmonics below half the rate, as cosines of equal strength.

    `sum_k cos(k x) = sin((N + 1/2) x) / (2 sin(x / 2)) - 1/2`, k = 1..N (Dirichlet's kernel), so
    each sample costs two sines, however many harmonics there are.

    Args:
        f0: (B, F) [Hz], above 0 everywhere.
        hop: step between frames [samples].
        rate: sampling rate [Hz].

    Returns:
        (B, F * hop) float32 of nearly unit variance; the phase is the integral of F0 from sample 0.
    """
    hz = interpolate_frames(f0.double(), hop)
    turns = torch.cumsum(hz / rate, dim=-1)
    turns = (turns - turns.round()).float()  # in -1/2..1/2 of a period
    hz = hz.float()
    count = torch.ceil(0.5 * rate / hz) - 1  # below half the rate, not at it
    below = torch.sin(math.pi * turns)
    near = below.abs() < 1e-6
    kernel = torch.sin((2 * count + 1) * math.pi * turns) / torch.where(near, 1.0, 2 * below) - 0.5
    return torch.where(near, count, kernel) * torch.sqrt(4.0 * hz / rate)


def fixed_noise(samples: int, seed: int = 0) -> Tensor:
    """Draw standard normal noise (samples,) whose beginning does not depend on its length."""
    generator = torch.Generator().manual_seed(seed)
    # torch draws in blocks of 16 and draws an incomplete block differently
    return torch.randn(-(-samples // 16) * 16, generator=generator)[:samples]

"""Chroma: energy per pitch class, which describes the accompaniment's harmony in every frame.

The power of an STFT is folded onto the twelve classes C..B of equal temperament at A4 = 440 Hz.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vctool.features.settings import FeatureConfig

CLASSES = 12
LOWEST_HZ, HIGHEST_HZ = 65.0, 2100.0
"""Band of fundamentals and strong low harmonics [Hz]: C2 to C7."""
SPREAD = 0.35
"""Standard deviation of a class around its pitch [semitones]."""
SILENCE = 1e-9
"""Mean power per sample of a window below which a frame counts as silent (-90 dB)."""


def hz_to_midi(hz: np.ndarray | float) -> np.ndarray:
    """Return MIDI note numbers (69 is A4 = 440 Hz) of frequencies [Hz] above 0."""
    return 69.0 + 12.0 * np.log2(np.asarray(hz, dtype=np.float64) / 440.0)


@lru_cache(maxsize=8)
def chroma_filterbank(config: FeatureConfig) -> Tensor:
    """Return the weights of STFT bins in the pitch classes: (12, 1 + chroma_n_fft // 2) float32.

    A bin's weight falls as a Gaussian of its distance to the class in semitones, widened where
    bins are wider than semitones, and sums to 1 over the classes inside the band.
    """
    count = 1 + config.chroma_n_fft // 2
    hz = np.arange(count) * config.rate / config.chroma_n_fft
    inside = (hz >= LOWEST_HZ) & (hz <= min(HIGHEST_HZ, config.rate / 2))
    pitch = hz_to_midi(np.where(inside, hz, 440.0))
    width = 12.0 / np.log(2.0) * (config.rate / config.chroma_n_fft) / np.where(inside, hz, 440.0)
    distance = (pitch[None, :] - np.arange(CLASSES)[:, None] + 6.0) % 12.0 - 6.0
    weights = np.exp(-0.5 * distance**2 / (SPREAD**2 + (width / 4.0) ** 2))
    weights = weights / weights.sum(axis=0, keepdims=True) * inside
    return torch.from_numpy(weights.astype(np.float32))


def chroma(wave: np.ndarray | Tensor, config: FeatureConfig) -> np.ndarray:
    """Return the share of every pitch class in every frame.

    Args:
        wave: (T,) at the config's rate.
        config: the settings.

    Returns:
        (F, 12) float32, F = 1 + T // hop_length, classes C..B; every row sums to 1, and silent
        frames hold 1/12 throughout.
    """
    if isinstance(wave, np.ndarray):
        wave = torch.from_numpy(np.ascontiguousarray(wave, dtype=np.float32))
    window = torch.hann_window(config.chroma_n_fft, device=wave.device)
    with torch.no_grad():
        spectrum = torch.stft(
            wave,
            config.chroma_n_fft,
            config.hop_length,
            window=window,
            pad_mode="constant",
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        energy = (chroma_filterbank(config).to(wave.device) @ power).T.double()
        # Parseval: the one-sided power sum of a window of noise of power p is near
        # p * n_fft * sum(window^2) / 2.
        scale = config.chroma_n_fft * float(window.square().sum()) / 2.0
        total = energy.sum(dim=1, keepdim=True)
        share = torch.where(total > SILENCE * scale, energy / total, 1.0 / CLASSES)
    result: np.ndarray = share.float().contiguous().cpu().numpy()
    return result


def smooth(weights: np.ndarray, frames: int) -> np.ndarray:
    """Average chroma (F, 12) over a centred window of frames, shorter at both ends."""
    reach = max(frames, 1) // 2
    sums = np.concatenate([np.zeros((1, weights.shape[1])), np.cumsum(weights, 0, np.float64)])
    index = np.arange(len(weights))
    low, high = np.maximum(index - reach, 0), np.minimum(index + reach + 1, len(weights))
    result: np.ndarray = ((sums[high] - sums[low]) / (high - low)[:, None]).astype(np.float32)
    return result


def strongest(weights: np.ndarray, count: int = 3) -> np.ndarray:
    """Mark the strongest pitch classes: (F, 12) to (F, 12) bool with `count` True in every row."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    mask = np.zeros(weights.shape, dtype=bool)
    np.put_along_axis(mask, order, True, axis=1)
    return mask

"""Time-varying minimum-phase filtering by a gain curve for every frame.

A frame of the sound under a window of two hops is filtered by the minimum-phase response of its
gain curve, and the frames overlap and add. The windows add up to 1, so gains of 0 dB give back the
sound.
"""

import numpy as np
import torch

from vctool.vocoders.istft.spectra import minimum_phase

RESPONSE_SECONDS = 0.03
"""Length of a filter's response, at least [s]."""
LARGEST_GAIN_DB = 40.0
"""Gains are limited to this, up and down [dB]."""
FRAMES_AT_ONCE = 512
"""Frames that are filtered at a time, which bounds memory."""


def shape(
    wave: np.ndarray,
    rate: int,
    hop_length: int,
    gain_db: np.ndarray,
    frequencies: np.ndarray | None = None,
) -> np.ndarray:
    """Filter a sound.

    Args:
        wave: (T,).
        rate: its sampling rate [Hz].
        hop_length: step between frames [samples]; frame k is centred on sample `k * hop_length`.
        gain_db: (F, K) gain of each frame [dB]; the last is held to the end of the wave.
        frequencies: (K,) of the gains [Hz], rising, between which they are interpolated linearly in
            dB, and held beyond both ends; evenly spaced from 0 to half the rate where None.

    Returns:
        (T,) float64.
    """
    sound = np.asarray(wave, np.float64)
    size = 1 << int(np.ceil(np.log2(RESPONSE_SECONDS * rate)))
    spread = _spread(gain_db.shape[1], frequencies, rate, size)
    total = 1 << int(np.ceil(np.log2(size + 2 * hop_length)))
    frames = 1 + -(-len(sound) // hop_length)
    window = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop_length) / hop_length)
    padded = np.pad(sound, (hop_length, (frames + 1) * hop_length - len(sound)))
    result = np.zeros(len(padded) + total)
    for first in range(0, frames, FRAMES_AT_ONCE):
        numbers = np.arange(first, min(frames, first + FRAMES_AT_ONCE))
        gains = gain_db[np.minimum(numbers, len(gain_db) - 1)]
        responses = _responses(np.clip(gains, -LARGEST_GAIN_DB, LARGEST_GAIN_DB) @ spread, size)
        at = numbers[:, None] * hop_length + np.arange(2 * hop_length)
        spectrum = np.fft.rfft(padded[at] * window, total) * np.fft.rfft(responses, total)
        for number, made in zip(numbers, np.fft.irfft(spectrum), strict=True):
            result[number * hop_length : number * hop_length + total] += made
    return result[hop_length : hop_length + len(sound)]


def _responses(gain_db: np.ndarray, size: int) -> np.ndarray:
    """Compute the minimum-phase responses (F, size) of gains (F, size // 2 + 1) at FFT bins."""
    log_gain = torch.from_numpy(gain_db.T * (np.log(10) / 20))[None]
    return np.fft.irfft(minimum_phase(log_gain)[0].numpy().T, size)


def _spread(count: int, frequencies: np.ndarray | None, rate: int, size: int) -> np.ndarray:
    """Return the matrix (count, size // 2 + 1) that interpolates gains at the FFT's bins."""
    known = np.linspace(0, rate / 2, count) if frequencies is None else np.asarray(frequencies)
    bins = np.linspace(0, rate / 2, size // 2 + 1)
    return np.stack([np.interp(bins, known, row) for row in np.eye(count)])

"""Time-varying minimum-phase filtering by a gain curve for every frame.

A frame of the sound under a window of two hops is filtered by the minimum-phase response of its
gain curve, and the frames overlap and add. The windows add up to 1, so gains of 0 dB give back the
sound.
"""

import numpy as np
import torch
from scipy.ndimage import convolve1d, maximum_filter1d, minimum_filter1d

from vctool.vocoders.istft.spectra import minimum_phase

RESPONSE_SECONDS = 0.03
"""Length of a filter's response, at least [s]."""
LARGEST_GAIN_DB = 40.0
"""Gains are limited to this, up and down [dB]."""
FRAMES_AT_ONCE = 512
"""Frames that are filtered at a time, which bounds memory."""
MARGIN_DB = 3.0
"""How much louder than expected a filtered frame may be; 99 of 100 are below [dB]."""
HEARD_FRAMES = 2
"""A frame is compared with the loudest within this many: a filter rings between two periods."""
QUIETEST = 1e-12
"""Power that is added to every frame, so that silence has a level."""


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


def hold_level(
    shaped: np.ndarray, wave: np.ndarray, hop_length: int, expected_db: np.ndarray
) -> np.ndarray:
    """Turn down the frames of a filtered sound that came out much louder than expected.

    Gains are known from the envelopes of two sounds, and an envelope does not always describe what
    lies around the middle of its frame: a pulse of creak beside an unvoiced frame, or hum below a
    sibilant. Raised by tens of dB, these are clicks and thumps.

    Args:
        shaped: (T,) the filtered sound.
        wave: (T,) the sound before.
        hop_length: step between frames [samples].
        expected_db: (F,) change of the level that is wanted at each frame [dB]; the last is held.

    Returns:
        (T,): no frame is more than `MARGIN_DB` louder than expected, about; all others are as
        they were.
    """
    count = 1 + -(-len(wave) // hop_length)
    wanted = expected_db[np.minimum(np.arange(count), len(expected_db) - 1)]
    before = maximum_filter1d(_power(wave, hop_length, count), 2 * HEARD_FRAMES + 1)
    after = _power(shaped, hop_length, count)
    louder = 10 * np.log10((after + QUIETEST) / (before + QUIETEST)) - wanted
    turned = minimum_filter1d(-np.maximum(louder - MARGIN_DB, 0.0), 3)
    if not turned.any():
        return shaped
    turned = convolve1d(turned, [0.25, 0.5, 0.25], mode="nearest")
    moments = np.arange(len(shaped)) / hop_length
    return np.asarray(shaped * 10 ** (np.interp(moments, np.arange(count), turned) / 20))


def _power(wave: np.ndarray, hop_length: int, count: int) -> np.ndarray:
    """Measure the power (count,) of frames under a Hann window of two hops."""
    window = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop_length) / hop_length)
    padded = np.pad(np.square(wave, dtype=np.float64), (hop_length, count * hop_length))
    hops = padded[: (count + 1) * hop_length].reshape(count + 1, hop_length)
    rise, fall = hops @ window[:hop_length], hops @ window[hop_length:]
    return np.asarray((rise[:-1] + fall[1:]) / hop_length)


def _responses(gain_db: np.ndarray, size: int) -> np.ndarray:
    """Compute the minimum-phase responses (F, size) of gains (F, size // 2 + 1) at FFT bins."""
    log_gain = torch.from_numpy(gain_db.T * (np.log(10) / 20))[None]
    return np.fft.irfft(minimum_phase(log_gain)[0].numpy().T, size)


def _spread(count: int, frequencies: np.ndarray | None, rate: int, size: int) -> np.ndarray:
    """Return the matrix (count, size // 2 + 1) that interpolates gains at the FFT's bins."""
    known = np.linspace(0, rate / 2, count) if frequencies is None else np.asarray(frequencies)
    bins = np.linspace(0, rate / 2, size // 2 + 1)
    return np.stack([np.interp(bins, known, row) for row in np.eye(count)])

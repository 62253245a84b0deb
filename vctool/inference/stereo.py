"""Left and right of a stereo recording, restored in the conversion of its middle.

The conversion is mono. In every band and at every moment it is laid between left and right as the
recording's own power is there, so that what came from one side stays there; where both sides are
equally loud it stays in the middle.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vctool.audio.tracks import Track

FFT = 2048
"""Length of the windows [samples]."""
HOP = 512
BANDS = 24
"""Bands, of equal width on a logarithmic scale above 200 Hz."""
REACH = 3
"""Windows before and after whose power counts too, fading."""
FLOOR = 1e-12
"""Power below which a band belongs to neither side."""


class Stereo(NamedTuple):
    """Left and right of a recording, at the rate of its conversion."""

    left: Track
    right: Track


def restored(middle: Track, sides: Stereo, rate: int, chunk: int) -> Iterator[np.ndarray]:
    """Lay a mono conversion between the sides of its recording.

    Args:
        middle: the conversion.
        sides: of the recording, as long.
        rate: of all of them [Hz].
        chunk: samples that are worked on at once; the result does not depend on it.

    Yields:
        (T, 2) float32, as long as `middle` in all. The mean power of both sides is the middle's.
    """
    bands = _bands(rate)
    window = np.hanning(FFT + 1)[:-1]
    scale = float(np.square(window)[::HOP].sum())
    chunk = max(1, chunk // HOP) * HOP
    margin = (REACH + FFT // HOP) * HOP
    for start in range(0, middle.samples, chunk):
        stop = min(start + chunk, middle.samples)
        begin, end = start - margin, start + chunk + margin
        wave = middle.read(begin, end)
        left, right = (_power(side.read(begin, end), window, bands) for side in sides)
        both = left + right
        share = np.where(both > FLOOR, left / np.maximum(both, FLOOR), 0.5)
        gains = np.sqrt(2 * np.stack([share, 1 - share])) @ bands.T
        spectrum = np.fft.rfft(_frames(wave) * window, axis=1)
        made = [_joined(spectrum * gain, window, len(wave)) / scale for gain in gains]
        kept = slice(margin, margin + stop - start)
        yield np.stack([one[kept] for one in made], axis=1).astype(np.float32)


def _bands(rate: int) -> np.ndarray:
    """Return the weights (K, BANDS) of bands in every bin; they sum up to 1."""
    scale = np.log2(1 + np.fft.rfftfreq(FFT, 1 / rate) / 200.0)
    place = scale / scale[-1] * (BANDS - 1)
    return np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(BANDS)))


def _frames(wave: np.ndarray) -> np.ndarray:
    """Cut (T,) into overlapping windows (N, FFT)."""
    return np.lib.stride_tricks.sliding_window_view(wave, FFT)[::HOP]


def _power(wave: np.ndarray, window: np.ndarray, bands: np.ndarray) -> np.ndarray:
    """Return the power by band (N, BANDS), smoothed over time."""
    power = np.square(np.abs(np.fft.rfft(_frames(wave) * window, axis=1))) @ bands
    weights = np.hanning(2 * REACH + 3)[1:-1]
    padded = np.pad(power, ((REACH, REACH), (0, 0)))
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH + 1, axis=0)
    return np.asarray(around @ (weights / weights.sum()))


def _joined(spectra: np.ndarray, window: np.ndarray, samples: int) -> np.ndarray:
    """Add up windows (N, K) to a wave (samples,)."""
    frames = np.fft.irfft(spectra, FFT, axis=1) * window
    wave = np.zeros(samples)
    for offset in range(0, FFT, HOP):
        part = frames[:, offset : offset + HOP]
        wave[offset : offset + part.size] += part.reshape(-1)[: samples - offset]
    return wave

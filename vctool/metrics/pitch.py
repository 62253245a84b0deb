"""F0 of every wave that is scored, by one tracker, and its distance to a truth.

DIO with StoneMask (Morise et al. 2009, 2016) at 16 kHz, a frame every 10 ms, 65 to 1000 Hz. On the
labelled MIR-1K voices it makes fewer gross errors than Harvest (4 % against 6 % of voiced frames),
a tenth of its false voicing, and takes a fiftieth of its time, so whole test sets can be tracked.
"""

import numpy as np

from vctool import audio

RATE = 16000
"""Sampling rate that every wave is scored at [Hz]."""
HOP = 160
"""Step between frames of every measure [samples at `RATE`]; frame k is centred on k * HOP."""
FRAME_RATE = RATE / HOP
"""Frames per second [Hz]."""
F0_FLOOR, F0_CEIL = 65.0, 1000.0
"""Search range of the tracker [Hz]."""


def at_scoring_rate(wave: np.ndarray, rate: int) -> np.ndarray:
    """Resample a wave (T,) to `RATE`; float64, contiguous, as WORLD wants it."""
    wave = np.ascontiguousarray(wave, dtype=np.float64)
    assert wave.ndim == 1, wave.shape
    return wave if rate == RATE else audio.resample(wave, rate, RATE).astype(np.float64)


def track(wave: np.ndarray) -> np.ndarray:
    """Track F0 of a wave at `RATE`.

    Args:
        wave: (T,), any level.

    Returns:
        (1 + T // HOP,) [Hz], 0 where unvoiced.
    """
    import pyworld

    frames = 1 + len(wave) // HOP
    peak = float(np.max(np.abs(wave), initial=0.0))
    if len(wave) < RATE // 20 or peak == 0.0:
        return np.zeros(frames)
    scaled = np.ascontiguousarray(wave / peak, dtype=np.float64)
    f0, times = pyworld.dio(
        scaled, RATE, f0_floor=F0_FLOOR, f0_ceil=F0_CEIL, frame_period=1000.0 / FRAME_RATE
    )
    f0 = pyworld.stonemask(scaled, f0, times, RATE)[:frames]
    return np.pad(f0, (0, frames - len(f0)))


def to_semitones(f0: np.ndarray) -> np.ndarray:
    """Turn F0 [Hz] into MIDI note numbers (69 = 440 Hz), NaN where unvoiced."""
    voiced = f0 > 0
    return np.where(voiced, 69.0 + 12.0 * np.log2(np.where(voiced, f0, 440.0) / 440.0), np.nan)


def cents_off(
    f0: np.ndarray, truth: np.ndarray, seconds: np.ndarray, truth_seconds: np.ndarray
) -> np.ndarray:
    """Compare F0 with the truth at the moments that hold the same sound.

    Args:
        f0: (F,) of the output [Hz], 0 where unvoiced.
        truth: (G,) of the true recording [Hz].
        seconds: (K,) increasing moments of the output.
        truth_seconds: (K,) the moments of the truth with the same sound; linear in between.

    Returns:
        Signed difference [cents] at every frame where both are voiced; octaves are not folded.
    """
    times = np.arange(len(f0)) / FRAME_RATE
    inside = (times >= seconds[0]) & (times <= seconds[-1])
    partner = np.rint(np.interp(times, seconds, truth_seconds) * FRAME_RATE).astype(int)
    inside &= partner < len(truth)
    other = truth[np.minimum(partner, len(truth) - 1)]
    both = inside & (f0 > 0) & (other > 0)
    return np.asarray(1200.0 * np.log2(f0[both] / other[both]))


def fold_octaves(cents: np.ndarray) -> np.ndarray:
    """Bring differences [cents] into -600..600, so that an octave counts as right."""
    return (cents + 600.0) % 1200.0 - 600.0

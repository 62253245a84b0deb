"""How far a voice's F0 reaches, measured apart from the range that the settings search.

F0 above `f0_ceil` counts as unvoiced, and a voice below `f0_floor` is read an octave too high, both
without an error. So F0 is searched here between `LOWEST` and `HIGHEST`, by DIO with StoneMask
(Morise et al. 2009, 2016), and a frame counts only where the wave itself repeats at that period and
neither at a fraction nor, better, at a multiple of it: a wide search alone mistakes mains hum,
harmonics and subharmonics for voices. The wave is high-passed for this, which leaves the harmonics
of the lowest voice and takes the hum.
"""

from typing import NamedTuple

import numpy as np
from scipy.signal import butter, sosfilt

from vctool.features.binding import pyworld

RATE = 16000
"""Sampling rate that waves are measured at [Hz]."""

LOWEST, HIGHEST = 35.0, 2000.0
"""Range that is searched [Hz]."""

MOST_OUTSIDE = 0.02
"""Share of a voice's frames that may lie beyond one end of a range: errors stay below half of it
for the speakers of VCC2016, LibriSpeech, RAVDESS and MIR-1K that were tried."""

_HUM_HZ = 160.0
_PERIOD_MS = 10.0
_FALL_DB = 25.0
"""Frames this far below the loud ones do not count."""
_LEAST_SECONDS = 0.1
_LEAST_FRAMES = 30
"""Voiced frames without which nothing is said of a voice."""
_REPEATS = 0.7
_LESS_AT_FRACTION, _MORE_AT_MULTIPLE = 0.05, 0.1
"""Least correlation at the period, its lead over that at fractions, and its largest lag behind that
at multiples."""


class Reach(NamedTuple):
    """The frames of a voice beyond a range of F0."""

    lowest: float | None
    """Lowest F0 [Hz] where `MOST_OUTSIDE` of the frames are below the range; else None."""
    highest: float | None
    """Highest F0 [Hz] where `MOST_OUTSIDE` of the frames are above the range; else None."""


def beyond(f0: np.ndarray, floor: float, ceil: float) -> Reach:
    """Compare measured F0 with a range.

    Args:
        f0: (N,) of voiced frames [Hz], as `certain_f0` returns; of one voice.
        floor: lower end [Hz].
        ceil: upper end [Hz].

    Returns:
        How far the voice reaches beyond each end; its extremes are percentiles, so that single
        frames do not decide.
    """
    if len(f0) < _LEAST_FRAMES:
        return Reach(None, None)
    low, high = np.percentile(f0, [1, 99])
    return Reach(
        float(low) if np.mean(f0 < floor) > MOST_OUTSIDE else None,
        float(high) if np.mean(f0 > ceil) > MOST_OUTSIDE else None,
    )


def certain_f0(wave: np.ndarray) -> np.ndarray:
    """Measure F0 of the frames of a wave where it is beyond doubt.

    Args:
        wave: (T,) at `RATE`, any level.

    Returns:
        (N,) [Hz], of the loud frames whose period the wave confirms.
    """
    peak = float(np.max(np.abs(wave), initial=0.0))
    if len(wave) < _LEAST_SECONDS * RATE or peak == 0.0:
        return np.zeros(0)
    high_pass = butter(4, _HUM_HZ, "high", fs=RATE, output="sos")
    scaled = np.ascontiguousarray(wave, dtype=np.float64) / peak
    f0, times = pyworld.dio(scaled, RATE, LOWEST, HIGHEST, frame_period=_PERIOD_MS)
    f0 = pyworld.stonemask(scaled, f0, times, RATE)
    clean = sosfilt(high_pass, scaled)
    centres = np.minimum(np.rint(times * RATE).astype(int), len(clean) - 1)
    power = np.convolve(clean**2, np.ones(320) / 320, "same")[centres]
    kept = (f0 > 0) & (power > np.percentile(power, 95) * 10 ** (-_FALL_DB / 10))
    f0, centres = f0[kept], centres[kept]
    period = RATE / f0
    own = _correlation(clean, centres, period, period)
    fractions = [_correlation(clean, centres, period / part, period) for part in (2, 3, 5, 7)]
    multiples = [_correlation(clean, centres, period * count, period * count) for count in (2, 3)]
    sure = (
        (own > _REPEATS)
        & (own - np.max(fractions, axis=0) > _LESS_AT_FRACTION)
        & (own > np.max(multiples, axis=0) - _MORE_AT_MULTIPLE)
    )
    return np.asarray(f0[sure])


def _correlation(
    wave: np.ndarray, centres: np.ndarray, lags: np.ndarray, windows: np.ndarray
) -> np.ndarray:
    """Correlate a wave with itself around some samples, each at a lag of its own, normalised.

    Args:
        wave: (T,).
        centres: (N,) places [samples].
        lags: (N,) [samples].
        windows: (N,) lengths that are compared [samples]; 10 ms at least are.

    Returns:
        (N,) in -1..1; 0 where a window leaves the wave or the lag is above `HIGHEST`.
    """
    found = np.zeros(len(centres))
    for place, (centre, exact, long) in enumerate(zip(centres, lags, windows, strict=True)):
        lag, window = round(float(exact)), max(round(float(long)), RATE // 100)
        first = centre - lag // 2 - window // 2
        second = first + lag
        if exact < RATE / HIGHEST or first < 0 or second + window > len(wave):
            continue
        one, other = wave[first : first + window], wave[second : second + window]
        energy = float((one @ one) * (other @ other))
        found[place] = one @ other / energy**0.5 if energy > 0 else 0.0
    return found

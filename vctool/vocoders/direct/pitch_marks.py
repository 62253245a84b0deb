"""Pitch marks: one instant in every period of a voice, at the same place of each.

Everything happens over phase, the integral of F0, where every period has the same length:

    wave over phase    |  period n  | period n+1 |  64 points each
    correlation        lag d at which period n+1 is most like period n: the marks are 1 + d apart
    energy             its centre within the aligned periods, smoothed over time, places the mark

So marks follow the waveform itself, also where F0 is somewhat wrong or its harmonic is missing, and
lie between samples.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

POINTS = 64
"""Points in a period."""
SMOOTHING_SECONDS = 0.6e-3
"""Length of the smoothing of the wave before it is compared [s]: what is left lies below 3 kHz."""
HUM_SECONDS = 8e-3
"""Length of the mean that is taken out of it [s]: offset and hum go, what is above 80 Hz stays."""
LARGEST_LAG = 0.2
"""Largest deviation of one period from the F0 contour [periods]."""
LAG_PRIOR = 0.3
"""Share by which the likeness at `LARGEST_LAG` is reduced, so that F0 decides in doubt."""
CENTRING = 11
"""Periods over which the place of the mark is smoothed."""
LATER = 0.2
"""How far a mark lies behind the centre of energy [periods]. A window around it cuts less of the
decay after a glottal closure than it would around the closure."""
TRUSTED = 0.5
"""Least correlation of neighbouring periods, smoothed, in voiced frames; below, a part is noise."""
EXTENDED_SECONDS = 0.05
"""How far periods are followed beyond voiced frames [s]."""
EXTENDED_TRUST = 0.7
"""Least correlation of neighbouring periods there."""
FEWEST = 3
"""Fewest marks of a voiced part."""
LEAST_DISTANCE = 0.5
"""Least distance of two marks [periods]."""


class VoicedPart(NamedTuple):
    """The marks of one voiced part."""

    times: np.ndarray
    """(N,) [samples], fractional, increasing, N >= `FEWEST`."""


class Phase(NamedTuple):
    """A phase that runs with time: piecewise linear, and on with its last slopes at both ends."""

    times: np.ndarray
    """(N,) [samples], increasing."""
    values: np.ndarray
    """(N,) [periods], increasing."""

    def at(self, times: np.ndarray) -> np.ndarray:
        """Return the phases [periods] at times [samples]."""
        return _line(times, self.times, self.values)

    def time(self, phases: np.ndarray) -> np.ndarray:
        """Return the times [samples] of phases [periods]."""
        return _line(phases, self.values, self.times)


def find(wave: np.ndarray, rate: int, hop_length: int, f0: np.ndarray) -> list[VoicedPart]:
    """Find the pitch marks of a recording.

    Args:
        wave: (T,).
        rate: its sampling rate [Hz].
        hop_length: step between frames of `f0` [samples]; frame k is centred on sample
            `k * hop_length`.
        f0: (F,) [Hz], 0 where unvoiced.

    Returns:
        The voiced parts in order; they do not overlap. Frames with an F0 whose neighbouring periods
        are not alike are in none. What is voiced in the sound is followed a little beyond the
        voiced frames.
    """
    voiced = np.asarray(f0) > 0
    if not voiced.any() or not np.any(wave):
        return []
    phase = integrate(f0, rate, hop_length)
    sound = _voice_band(wave, rate)
    parts: list[VoicedPart] = []
    for begin, end, reach in _runs(voiced, len(wave), rate, hop_length):
        parts += _marks(sound, phase, (begin, end), reach)
    return _apart(parts)


def integrate(f0: np.ndarray, rate: int, hop_length: int) -> Phase:
    """Integrate F0 (F,) [Hz], interpolated in log-frequency through unvoiced frames (0)."""
    frames, known = np.arange(len(f0)), np.flatnonzero(f0)
    filled = np.exp(np.interp(frames, known, np.log(np.asarray(f0, np.float64)[known])))
    filled = np.append(filled, filled[-1])  # one frame more, so that there is a slope
    steps = 0.5 * (filled[1:] + filled[:-1]) * hop_length / rate
    return Phase(
        np.arange(len(filled)) * float(hop_length), np.concatenate([[0.0], np.cumsum(steps)])
    )


def _line(at: np.ndarray, known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate linearly, and go on beyond both ends."""
    first = (values[1] - values[0]) / (known[1] - known[0])
    last = (values[-1] - values[-2]) / (known[-1] - known[-2])
    beyond = first * np.minimum(at - known[0], 0.0) + last * np.maximum(at - known[-1], 0.0)
    return np.asarray(np.interp(at, known, values) + beyond)


def _voice_band(wave: np.ndarray, rate: int) -> np.ndarray:
    """Keep what marks are placed by: the lower harmonics, without hum."""
    from scipy.ndimage import uniform_filter1d

    length = 2 * round(0.5 * SMOOTHING_SECONDS * rate) + 3
    window = np.hanning(length)
    smooth = np.convolve(np.asarray(wave, np.float64), window / window.sum(), mode="same")
    hum = uniform_filter1d(smooth, round(HUM_SECONDS * rate), mode="nearest")
    return np.asarray(smooth - hum)


def _runs(
    voiced: np.ndarray, samples: int, rate: int, hop_length: int
) -> Iterator[tuple[float, float, tuple[float, float]]]:
    """Find the runs of voiced frames: begin and end, and how far periods are followed around them.

    All are times [samples].
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], voiced.astype(int), [0]])))
    bounds = np.clip((edges.reshape(-1, 2) - 0.5) * hop_length, 0.0, samples - 1.0)
    reach = EXTENDED_SECONDS * rate
    for place, (begin, end) in enumerate(bounds):
        before = bounds[place - 1][1] if place else 0.0
        after = bounds[place + 1][0] if place + 1 < len(bounds) else samples - 1.0
        if end > begin:
            yield begin, end, (max(before, begin - reach), min(after, end + reach))


def _marks(
    sound: np.ndarray, contour: Phase, voiced: tuple[float, float], reach: tuple[float, float]
) -> list[VoicedPart]:
    """Place the marks of one run of voiced frames, and split it where the sound is not periodic."""
    rough = _numbers(contour, voiced, reach)
    if len(rough) < FEWEST:
        return []
    # First the contour is put right: a period is 1 + lag of those that it counts.
    lags, _ = _lags(_over_phase(sound, contour, rough - 0.5, 2))
    counted = np.concatenate([[0.0], np.cumsum(1 / (1 + lags))])
    phase = Phase(contour.time(rough), counted)
    # Then every period is laid on the one before.
    numbers = _numbers(phase, voiced, reach)
    if len(numbers) < FEWEST:
        return []
    lags, alike = _lags(_over_phase(sound, phase, numbers - 0.5, 2))
    aligned = numbers + np.concatenate([[0.0], np.cumsum(lags)])
    marks = aligned - 0.5 + LATER + _centres(_over_phase(sound, phase, aligned - 0.5, 1))
    times = phase.time(marks)
    inside = (times >= voiced[0]) & (times <= voiced[1])
    if not inside.any():
        return []
    good = _trusted(alike, inside) & (times >= reach[0]) & (times <= reach[1])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(int), [0]])))
    found = []
    for first, stop in edges.reshape(-1, 2):
        # Where the place of the mark moves on by most of a period, one mark stands too close.
        distant = np.diff(marks[first:stop], prepend=-np.inf) > LEAST_DISTANCE
        kept = times[first:stop][distant]
        if len(kept) >= FEWEST:
            found.append(VoicedPart(kept))
    return found


def _numbers(phase: Phase, voiced: tuple[float, float], reach: tuple[float, float]) -> np.ndarray:
    """Lay one point in every period within `reach`, beginning where the voiced frames do.

    So what lies far before a voiced run, such as the begin of a block, does not matter.
    """
    start = phase.at(np.array([voiced[0], *reach]))
    return np.asarray(start[0] + np.arange(np.ceil(start[1] - start[0]), start[2] - start[0] + 1))


def _over_phase(sound: np.ndarray, phase: Phase, starts: np.ndarray, periods: int) -> np.ndarray:
    """Read periods, one row from each start [periods]: (N, periods * POINTS)."""
    grid = starts[:, None] + np.arange(periods * POINTS) / POINTS
    times = phase.time(grid.ravel())
    read = np.interp(times, np.arange(len(sound)), sound, left=0.0, right=0.0)
    return np.asarray(read.reshape(grid.shape))


def _lags(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare neighbouring rows of two periods: lags (N - 1,) [periods], correlations (N - 1,)."""
    length = rows.shape[1]
    window = np.hanning(length + 2)[1:-1]
    reach = round(LARGEST_LAG * POINTS)
    lags = np.arange(-reach, reach + 1)
    spectrum = np.fft.rfft(rows * window, 2 * length)
    between = np.fft.irfft(np.conj(spectrum[:-1]) * spectrum[1:])[:, lags]
    own = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * length)) ** 2)[lags]
    energy = np.square(rows * window).sum(axis=1)
    level = np.sqrt(energy[:-1] * energy[1:])
    alike = between / (own / own.max()) / np.where(level > 0, level, 1.0)[:, None]
    weighted = alike * (1 - LAG_PRIOR * (lags / reach) ** 2)
    best = weighted[:, 1:-1].argmax(axis=1) + 1
    every = np.arange(len(best))
    left, middle, right = (weighted[every, best + step] for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    peak = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, 1.0), 0.0)
    found = (lags[best] + np.clip(peak, -0.5, 0.5)) / POINTS
    return found, np.where(level > 0, alike[every, best], 0.0)


def _centres(rows: np.ndarray) -> np.ndarray:
    """Find the centre of energy in rows of one period each, smoothed: (N,) [periods], continuous.

    The angle of the first Fourier coefficient of the energy is its centre on a circle.
    """
    energy = np.square(rows)
    turns = np.exp(2j * np.pi * np.arange(rows.shape[1]) / rows.shape[1])
    around = energy @ turns
    window = np.hanning(CENTRING + 2)[1:-1]
    smooth = np.convolve(np.pad(around, CENTRING // 2, mode="edge"), window, mode="valid")
    return np.unwrap(np.angle(smooth)) / (2 * np.pi)


def _trusted(alike: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Mark the periods (N,) that are like those around; outside, up to the first that is not."""
    around = np.pad(alike, (2, 2), mode="edge")
    good = 0.25 * (around[:-3] + around[1:-2] + around[2:-1] + around[3:]) > TRUSTED
    places = np.flatnonzero(inside)
    first, last = places[0], places[-1]
    # Going outwards, each period has to be like the one before.
    good[:first] = np.logical_and.accumulate(alike[:first][::-1] > EXTENDED_TRUST)[::-1]
    good[last + 1 :] = np.logical_and.accumulate(alike[last:] > EXTENDED_TRUST)
    return np.asarray(good)


def _apart(parts: list[VoicedPart]) -> list[VoicedPart]:
    """Keep the parts that begin after the one before has ended, cut where they overlap."""
    kept: list[VoicedPart] = []
    for part in parts:
        times = part.times
        if kept:
            last = kept[-1].times
            times = times[times > last[-1] + (last[-1] - last[-2])]
        if len(times) >= FEWEST:
            kept.append(VoicedPart(times))
    return kept

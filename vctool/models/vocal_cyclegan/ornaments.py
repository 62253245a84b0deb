"""How a domain's voices sing notes: with vibrato, and from where a syllable begins.

Vibrato is measured on the domain's training clips, and sung where most of their long notes have it.
A note begins with a syllable where one is near. Syllables are found by
dips of the level, after de Jong and Wempe ("Praat script to detect syllable nuclei and measure
speech rate automatically", 2009).
"""

from typing import NamedTuple

import numpy as np
from scipy.signal import find_peaks

from vctool.models.vocal_cyclegan.melody import CONTOUR_SECONDS

LONG_SECONDS = 0.5
"""Notes at least this long are asked for vibrato [s]."""
RATES = np.arange(3.8, 8.25, 0.1)
"""Rates at which vibrato is sought [Hz]; one at either end is none."""
ONSETS = np.arange(0.0, 0.42, 0.04)
"""Times at which vibrato may set in [s]."""
GLIDE_SECONDS = 0.06
"""What moves at either end of a note for so long is a glide [s]."""
LEAST_DEPTH, LEAST_EXPLAINED = 0.15, 0.5
"""A note clearly has vibrato that moves this far to each side [semitones], and that explains this
share of what moves in it."""
LEAST_SHARE = 0.5
"""Share of a domain's long notes that clearly have vibrato, at least, if any is sung."""
EDGE_SECONDS, CONSONANT_SECONDS = 0.03, 0.06
"""Frames this near to unvoiced ones, and to dips of the level, tell nothing of vibrato [s]."""
CLEAR_SECONDS = 0.25
"""A note is asked for vibrato where this much of it tells something [s]."""
SWELL_SECONDS = 0.12
"""Vibrato grows and dies away over this long [s]."""
GAP_SECONDS = 0.15
"""A note goes on over unvoiced stretches up to this long [s]."""
DIP_DB = 2.0
"""Level falls at least this far between two syllables [dB]."""
REACH_SECONDS = 0.2
"""A note begins with a syllable that begins this near [s]."""
SONOROUS_HZ = (200.0, 3000.0)
"""Bands that level is read from: vowels stand out, sibilants do not [Hz]."""


class Ornaments(NamedTuple):
    """How notes are sung; zeros leave them plain."""

    rate: float = 0.0
    """Median rate of the notes that clearly have vibrato [Hz]."""
    rate_spread: float = 0.0
    """Spread of their rates: that of a normal distribution of their quartiles [Hz]."""
    depth: float = 0.0
    """Median depth of all long notes, straight ones too, to each side [semitones]."""
    depth_spread: float = 0.0
    """Spread of their depths, the same [semitones]."""
    onset: float = 0.0
    """Median time from a note's beginning to half of the depth, of those with vibrato [s]."""


class Vibrato(NamedTuple):
    """The vibrato of one note."""

    rate: float
    """[Hz]."""
    depth: float
    """To each side [semitones]."""
    onset: float
    """From the note's beginning to half of the depth [s]."""
    clear: bool
    """Whether it is beyond doubt; a note that is sung straight has some depth too."""


def level_of(bands: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Return the level (..., F) [dB] of (..., bands, F) [dB] in `SONOROUS_HZ`."""
    low, high = SONOROUS_HZ
    heard = (frequencies > low) & (frequencies < high)
    power = 10.0 ** (bands[..., heard, :].astype(np.float64) / 10.0)
    return np.asarray(10.0 * np.log10(power.mean(axis=-2) + 1e-12))


def syllables(level: np.ndarray, frame_rate: float) -> np.ndarray:
    """Find where syllables begin: the frames of the dips of a level (F,) [dB]."""
    taps = max(3, int(0.06 * frame_rate) | 1)
    window = np.hanning(taps + 2)[1:-1]
    padded = np.pad(level, taps // 2, mode="edge")
    smooth = np.convolve(padded, window / window.sum(), mode="valid")
    # What lies 40 dB down is a pause, and its ripples are none of a voice.
    smooth = np.maximum(smooth, smooth.max(initial=-np.inf) - 40.0)
    return np.asarray(find_peaks(-smooth, prominence=DIP_DB)[0])


def clear(voiced: np.ndarray, level: np.ndarray, frame_rate: float) -> np.ndarray:
    """Return the voiced frames (F,) bool whose pitch no consonant moves."""
    near = round(EDGE_SECONDS * frame_rate)
    told = ~np.convolve(~voiced, np.ones(2 * near + 1), mode="same").astype(bool)
    near = round(CONSONANT_SECONDS * frame_rate)
    for frame in syllables(level, frame_rate).tolist():
        told[max(frame - near, 0) : frame + near + 1] = False
    return told


def vibrato(pitch: np.ndarray, told: np.ndarray, frame_rate: float) -> Vibrato | None:
    """Measure the vibrato of one note; None where nothing in it moves at such rates.

    Args:
        pitch: (F,) MIDI notes, interpolated where unvoiced.
        told: (F,) bool, the frames to go by; `CLEAR_SECONDS` of them at least.
        frame_rate: frames per second [Hz].
    """
    time = np.arange(len(pitch)) / frame_rate
    edge = round(GLIDE_SECONDS * frame_rate)
    weight = np.zeros(len(pitch))
    weight[edge : len(pitch) - edge] = np.hanning(len(pitch) - 2 * edge + 2)[1:-1]
    weight *= told
    moving = pitch - np.polyval(np.polyfit(time, pitch, 2, w=np.sqrt(weight)), time)
    turns = np.exp(-2j * np.pi * RATES[:, None] * time)
    found = 2.0 * np.abs((turns * (weight * moving)).sum(axis=1)) / weight.sum()
    best = int(found.argmax())
    if best in (0, len(RATES) - 1):
        return None
    rate = float(RATES[best])
    onset, depth = _grown(moving, told, time, rate)
    explained = 0.5 * found[best] ** 2 * weight.sum() / (weight * moving**2).sum()
    return Vibrato(rate, depth, onset, bool(depth >= LEAST_DEPTH and explained >= LEAST_EXPLAINED))


def _grown(
    moving: np.ndarray, told: np.ndarray, time: np.ndarray, rate: float
) -> tuple[float, float]:
    """Return the onset in `ONSETS` and the depth that explain most of what moves, at a rate."""
    counted = told & (time >= GLIDE_SECONDS)
    waves = np.stack([np.cos(2 * np.pi * rate * time), np.sin(2 * np.pi * rate * time)], axis=1)
    tried = []
    for onset in ONSETS.tolist():
        swelling = (waves * swell(time, onset)[:, None])[counted]
        factors = np.linalg.lstsq(swelling, moving[counted], rcond=None)[0]
        left = np.square(moving[counted] - swelling @ factors).sum()
        tried.append((float(left), onset, float(np.hypot(*factors))))
    return min(tried)[1:]


def swell(time: np.ndarray, onset: float) -> np.ndarray:
    """Return how deep vibrato is, 0..1, at times since a note's beginning [s]."""
    return np.clip((time - onset) / SWELL_SECONDS + 0.5, 0.0, 1.0)


def cut(pitch: np.ndarray, frame_rate: float) -> list[tuple[int, int]]:
    """Cut a track into notes: stretches in which a smooth of it moves by a semitone at most.

    Args:
        pitch: (F,) MIDI notes.
        frame_rate: frames per second [Hz].

    Returns:
        First frame of every note, and one past its last.
    """
    taps = max(3, int(CONTOUR_SECONDS * frame_rate) | 1)
    window = np.hanning(taps + 2)[1:-1]
    slow = np.convolve(np.pad(pitch, taps // 2, mode="edge"), window / window.sum(), mode="valid")
    notes, start, low, high = [], 0, np.inf, -np.inf
    for frame, value in enumerate(slow.tolist()):
        if max(high, value) - min(low, value) > 1.0:
            notes.append((start, frame))
            start, low, high = frame, value, value
        else:
            low, high = min(low, value), max(high, value)
    return [*notes, (start, len(slow))] if len(slow) else notes


def bridged(voiced: np.ndarray, frame_rate: float) -> list[tuple[int, int]]:
    """Return the voiced stretches of (F,) bool, over gaps of up to `GAP_SECONDS`."""
    edges = np.flatnonzero(np.diff(np.r_[False, voiced, False].astype(int)))
    stretches: list[tuple[int, int]] = []
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if stretches and start - stretches[-1][1] <= GAP_SECONDS * frame_rate:
            start = stretches.pop()[0]
        stretches.append((start, stop))
    return stretches


def measure(
    notes: np.ndarray, voiced: np.ndarray, level: np.ndarray, frame_rate: float
) -> Ornaments:
    """Measure how a domain's clips are sung.

    Args:
        notes: (B, F) MIDI notes, interpolated where unvoiced.
        voiced: (B, F) bool.
        level: (B, F) [dB], see `level_of`.
        frame_rate: frames per second [Hz].
    """
    found: list[Vibrato] = []
    depths, onsets = [], []
    for pitch, sounds, loud in zip(notes.astype(np.float64), voiced, level, strict=True):
        told = clear(sounds, loud, frame_rate)
        for first, last in bridged(sounds, frame_rate):
            for start, stop in cut(pitch[first:last], frame_rate):
                span = slice(first + start, first + stop)
                long = stop - start >= LONG_SECONDS * frame_rate
                if not long or told[span].sum() < CLEAR_SECONDS * frame_rate:
                    continue
                one = vibrato(pitch[span], told[span], frame_rate)
                depths.append(one.depth if one is not None else 0.0)
                if one is not None and one.clear:
                    found.append(one)
                    if span.start > 0:  # else the note may have begun before the clip
                        onsets.append(one.onset)
    if not found or len(found) < LEAST_SHARE * len(depths):
        return Ornaments()
    return Ornaments(
        *_spread([one.rate for one in found]),
        *_spread(depths),
        float(np.median(onsets)) if onsets else SWELL_SECONDS,
    )


def _spread(values: list[float]) -> tuple[float, float]:
    """Return the median, and the standard deviation that the quartiles of a normal one tell."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return median, (high - low) / 1.349


def on_syllables(notes: np.ndarray, level: np.ndarray, frame_rate: float) -> np.ndarray:
    """Let notes begin where syllables do: a step within one is heard as a note that breaks.

    Args:
        notes: (F,) the MIDI note that is meant at every frame.
        level: (F,) [dB], see `level_of`.
        frame_rate: frames per second [Hz].

    Returns:
        (F,) the same notes, each from the frame of the nearest syllable in `REACH_SECONDS`, or
        from its own; where two would begin together, the first has no place.
    """
    steps, begun = np.flatnonzero(np.diff(notes)) + 1, syllables(level, frame_rate)
    if not len(begun):
        return notes
    nearest = begun[np.abs(begun - steps[:, None]).argmin(axis=1)]
    near = np.abs(nearest - steps) <= REACH_SECONDS * frame_rate
    moved = np.where(near, nearest, steps)
    return notes[np.r_[0, steps]][np.searchsorted(moved, np.arange(len(notes)), side="right")]


def ornamented(
    notes: np.ndarray, meant: np.ndarray, frame_rate: float, ornaments: Ornaments
) -> np.ndarray:
    """Sing notes with vibrato.

    What is drawn depends on the place and the pitch of a note and on nothing else.

    Args:
        notes: (F,) MIDI notes as they glide.
        meant: (F,) the MIDI note that is meant at every frame.
        frame_rate: frames per second [Hz].
        ornaments: how.

    Returns:
        (F,) MIDI notes.
    """
    sung = notes.astype(np.float64)
    if not ornaments.rate:
        return sung
    time = np.arange(len(sung)) / frame_rate
    edges = np.flatnonzero(np.diff(meant)) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(meant)], strict=True):
        drawn = np.random.default_rng([start, round(float(meant[start]))])
        faster, deeper = drawn.normal(size=2).clip(-1.0, 1.0)
        rate = max(ornaments.rate + ornaments.rate_spread * faster, RATES[1])
        depth = max(ornaments.depth + ornaments.depth_spread * deeper, 0.0)
        onward, left = time[start:stop] - time[start], time[stop - 1] - time[start:stop]
        deep = depth * swell(onward, ornaments.onset) * np.clip(left / SWELL_SECONDS, 0.0, 1.0)
        sung[start:stop] += deep * np.sin(2 * np.pi * rate * onward)
    return sung

"""What a domain's voices do to a held note: vibrato, and a dip of pitch where a syllable begins.

Both are measured on the domain's training clips and put on the notes of a conversion. A syllable
that begins on the note before it is heard as one of its own by the dip: on notes that MIR-1K's
singers go on with, F0 falls by a third of a semitone for a twentieth of a second where the level
falls. Syllables are found by dips of the level, after de Jong and Wempe ("Praat script to detect
syllable nuclei and measure speech rate automatically", 2009).
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
LEAST_DEPTH = 0.15
"""Vibrato moves at least this far to each side [semitones]."""
LEAST_EXPLAINED = 0.5
"""Vibrato explains at least this share of what moves in a note."""
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
DIP_SECONDS = 0.055
"""Half width of the dip of pitch [s]."""
AROUND_SECONDS = 0.15
"""What lies this far to both sides of a dip tells the note that it is on [s]."""
REACH_SECONDS = 0.2
"""A note begins with a syllable that begins this near [s]."""
SONOROUS_HZ = (200.0, 3000.0)
"""Bands that level is read from: vowels stand out, sibilants do not [Hz]."""


class Ornaments(NamedTuple):
    """How notes are sung; zeros leave them plain."""

    share: float = 0.0
    """Share of long notes that have vibrato, 0..1."""
    rate: float = 0.0
    """Its median rate [Hz]."""
    rate_spread: float = 0.0
    """Standard deviation of its rate from note to note [Hz]."""
    depth: float = 0.0
    """Its median depth to each side [semitones]."""
    depth_spread: float = 0.0
    """Standard deviation of its depth [semitones]."""
    onset: float = 0.0
    """Median time from a note's beginning to half of the depth [s]."""
    dip: float = 0.0
    """How far pitch falls where a syllable begins on a note that goes on [semitones]."""


class Vibrato(NamedTuple):
    """The vibrato of one note."""

    rate: float
    """[Hz]."""
    depth: float
    """To each side [semitones]."""
    onset: float
    """From the note's beginning to half of the depth [s]."""


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
    """Measure the vibrato of one note; None where it has none.

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
    rate, depth = float(RATES[best]), float(found[best])
    all_of_it = (weight * moving**2).sum() / weight.sum()
    if best in (0, len(RATES) - 1) or depth < LEAST_DEPTH:
        return None
    if 0.5 * depth**2 < LEAST_EXPLAINED * all_of_it:
        return None
    return Vibrato(rate, depth, _onset(moving, told, time, rate))


def _onset(moving: np.ndarray, told: np.ndarray, time: np.ndarray, rate: float) -> float:
    """Return the onset in `ONSETS` with which vibrato of a rate explains most of what moves."""
    counted = told & (time >= GLIDE_SECONDS)
    waves = np.stack([np.cos(2 * np.pi * rate * time), np.sin(2 * np.pi * rate * time)], axis=1)
    left = []
    for onset in ONSETS:
        swelling = (waves * swell(time, onset)[:, None])[counted]
        fitted = swelling @ np.linalg.lstsq(swelling, moving[counted], rcond=None)[0]
        left.append(np.square(moving[counted] - fitted).sum())
    return float(ONSETS[int(np.argmin(left))])


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
    asked, onsets, dips = 0, [], []
    found: list[Vibrato] = []
    for pitch, sounds, loud in zip(notes.astype(np.float64), voiced, level, strict=True):
        told = clear(sounds, loud, frame_rate)
        for first, last in bridged(sounds, frame_rate):
            for start, stop in cut(pitch[first:last], frame_rate):
                span = slice(first + start, first + stop)
                long = stop - start >= LONG_SECONDS * frame_rate
                if not long or told[span].sum() < CLEAR_SECONDS * frame_rate:
                    continue
                asked += 1
                one = vibrato(pitch[span], told[span], frame_rate)
                if one is not None:
                    found.append(one)
                    if span.start > 0:  # else the note may have begun before the clip
                        onsets.append(one.onset)
        dips += [
            _dip(pitch, frame, frame_rate) for frame in _begun(pitch, sounds, loud, frame_rate)
        ]
    dip = max(0.0, float(np.median(dips))) if dips else 0.0
    if not found:
        return Ornaments(dip=dip)
    rates, depths = (
        np.array(values) for values in zip(*((f.rate, f.depth) for f in found), strict=True)
    )
    return Ornaments(
        len(found) / asked,
        float(np.median(rates)),
        float(rates.std()),
        float(np.median(depths)),
        float(depths.std()),
        float(np.median(onsets)) if onsets else SWELL_SECONDS,
        dip,
    )


def _begun(
    pitch: np.ndarray, voiced: np.ndarray, level: np.ndarray, frame_rate: float
) -> list[int]:
    """Return the frames at which syllables begin on a note that goes on."""
    around = round(AROUND_SECONDS * frame_rate)
    begun = []
    for frame in syllables(level, frame_rate).tolist():
        span = slice(frame - around, frame + around + 1)
        if frame < around or frame + around >= len(pitch) or not voiced[span].all():
            continue
        before, after = _beside(pitch, frame, frame_rate)
        if abs(before - after) <= 0.5:
            begun.append(frame)
    return begun


def _beside(pitch: np.ndarray, frame: int, frame_rate: float) -> tuple[float, float]:
    near, far = round(DIP_SECONDS * frame_rate), round(AROUND_SECONDS * frame_rate)
    before, after = pitch[frame - far : frame - near], pitch[frame + near + 1 : frame + far + 1]
    return float(np.median(before)), float(np.median(after))


def _dip(pitch: np.ndarray, frame: int, frame_rate: float) -> float:
    """Return how far pitch lies at a frame below what it is to both sides [semitones]."""
    at = round(0.02 * frame_rate)
    sides = 0.5 * sum(_beside(pitch, frame, frame_rate))
    return sides - float(pitch[frame - at : frame + 1].mean())


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
    notes: np.ndarray,
    path: np.ndarray,
    voiced: np.ndarray,
    level: np.ndarray,
    frame_rate: float,
    ornaments: Ornaments,
) -> np.ndarray:
    """Sing notes with vibrato and with a dip at every syllable that begins on a note that goes on.

    What is drawn depends on the place and the pitch of a note and on nothing else.

    Args:
        notes: (F,) MIDI notes as they glide.
        path: (F,) the MIDI note that is meant at every frame.
        voiced: (F,) bool.
        level: (F,) [dB], see `level_of`.
        frame_rate: frames per second [Hz].
        ornaments: how.

    Returns:
        (F,) MIDI notes.
    """
    sung = notes.astype(np.float64)
    time = np.arange(len(sung)) / frame_rate
    edges = np.flatnonzero(np.diff(path)) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(path)], strict=True):
        drawn = np.random.default_rng([start, round(float(path[start]))])
        chance, faster, deeper = drawn.random(), *drawn.normal(size=2)
        if chance >= ornaments.share:
            continue
        rate = max(ornaments.rate + ornaments.rate_spread * faster, RATES[1])
        depth = max(ornaments.depth + ornaments.depth_spread * deeper, 0.0)
        onward, left = time[start:stop] - time[start], time[stop - 1] - time[start:stop]
        deep = depth * swell(onward, ornaments.onset) * np.clip(left / SWELL_SECONDS, 0.0, 1.0)
        sung[start:stop] += deep * np.sin(2 * np.pi * rate * onward)
    if ornaments.dip > 0:
        reach = round(DIP_SECONDS * frame_rate)
        dip = ornaments.dip * np.hanning(2 * reach + 3)[1:-1]
        for frame in _begun(path.astype(np.float64), voiced, level, frame_rate):
            sung[frame - reach : frame + reach + 1] -= dip
    return sung

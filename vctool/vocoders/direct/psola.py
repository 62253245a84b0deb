"""TD-PSOLA: the periods of a voice, laid at the distances of another pitch.

Moulines and Charpentier, "Pitch-synchronous waveform processing techniques for text-to-speech
synthesis using diphones" (1990). A grain reaches from the mark before to the mark after its own,
under a window that rises over the one period and falls over the other. The windows of all marks add
up to 1 within a voiced part, so that marks left where they are give back the sound. The spectral
envelope is that of the grain and stays; the sound between voiced parts is copied.

A new grain mixes the two that are nearest in time. To take the nearest alone, as is usual,
repeats and skips periods, which is heard as roughness.

Grains are moved by fractions of a sample: whole samples would be heard as roughness.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from vctool.vocoders.direct.pitch_marks import VoicedPart

LARGEST_RATIO = 4.0
"""Pitch is moved by at most this factor, up or down."""
PHASES = 64
"""Steps in a sample, to which moves of a grain are rounded."""
TAPS = 32
"""Length of the interpolator between samples."""


def move_pitch(
    wave: np.ndarray, hop_length: int, parts: Sequence[VoicedPart], ratio: np.ndarray
) -> np.ndarray:
    """Move the pitch of the voiced parts; level and spectral envelope stay.

    Args:
        wave: (T,).
        hop_length: step between frames of `ratio` [samples].
        parts: the voiced parts with their pitch marks, in order.
        ratio: (F,) new pitch over old.

    Returns:
        (T,) float64. Where the ratio is 1 it is the input.
    """
    sound = np.asarray(wave, np.float64)
    margin = TAPS + max((int(np.ceil(_reach(part.times))) for part in parts), default=0)
    padded = np.pad(sound, margin)
    total = np.zeros_like(padded)
    copied = np.ones(len(sound))
    frames = np.arange(len(ratio)) * hop_length
    limited = np.clip(ratio, 1 / LARGEST_RATIO, LARGEST_RATIO)
    for part in parts:
        _take_out(copied, part.times)
        local = np.exp(np.interp(part.times, frames, np.log(limited)))
        for start, grain in _grains(padded, part.times + margin, local):
            total[start : start + len(grain)] += grain
    return copied * sound + total[margin : margin + len(sound)]


def _reach(marks: np.ndarray) -> float:
    """Return how far a grain may reach beyond the first or last mark [samples]."""
    return 2 * LARGEST_RATIO * float(np.diff(marks).max()) + 2


def _take_out(copied: np.ndarray, marks: np.ndarray) -> None:
    """Fade out what is copied (T,) where the windows of a voiced part add up to more than 0."""
    left, right = marks[1] - marks[0], marks[-1] - marks[-2]
    first = max(0, int(np.ceil(marks[0] - left)))
    stop = min(len(copied), int(np.floor(marks[-1] + right)) + 1)
    times = np.arange(first, stop)
    outside = np.maximum((marks[0] - times) / left, (times - marks[-1]) / right).clip(0.0, 1.0)
    copied[first:stop] -= 0.5 + 0.5 * np.cos(np.pi * outside)


def _grains(
    sound: np.ndarray, marks: np.ndarray, ratio: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Lay the grains of a voiced part.

    Args:
        sound: (T,) with enough around the marks.
        marks: (N,) [samples].
        ratio: (N,) new pitch over old at the marks.

    Yields:
        Where a grain begins [samples], and the grain.
    """
    periods = np.diff(marks)
    before, after = np.concatenate([periods[:1], periods]), np.concatenate([periods, periods[-1:]])
    numbers = np.arange(len(marks), dtype=np.float64)
    # The new phase [periods] at the marks; whole values are new marks. It goes on for half a period
    # so that what is left of the last one is not left empty.
    phase = np.concatenate([[0.0], np.cumsum(0.5 * (ratio[1:] + ratio[:-1]))])
    wanted = np.arange(int(phase[-1] + 0.5) + 1)
    beyond = np.maximum(wanted - phase[-1], 0.0) / ratio[-1]
    times = np.interp(wanted, phase, marks) + beyond * periods[-1]
    places = np.interp(wanted, phase, numbers)
    gains = 1 / np.sqrt(np.interp(wanted, phase, ratio))  # more periods in a second, less in each
    for time, place, gain in zip(times, places, gains, strict=True):
        earlier, share = divmod(place, 1.0)
        for number, part in ((int(earlier), 1 - share), (int(earlier) + 1, share)):
            if part > 0:
                rise, fall = before[number], after[number]
                first = int(np.ceil(time - rise))
                away = np.arange(first, int(np.floor(time + fall)) + 1) - time
                window = 0.5 + 0.5 * np.cos(np.pi * away / np.where(away < 0, rise, fall))
                read = _read(sound, first + marks[number] - time, len(away))
                yield first, gain * part * window * read


def _read(sound: np.ndarray, start: float, count: int) -> np.ndarray:
    """Read `count` samples from a fractional position, rounded to 1 / `PHASES`."""
    whole, part = divmod(round(start * PHASES), PHASES)
    if not part:
        return sound[whole : whole + count]
    half = TAPS // 2
    around = sound[whole - half + 1 : whole + half + count]
    return np.convolve(around, _interpolators()[part], mode="valid")


@lru_cache(maxsize=1)
def _interpolators() -> np.ndarray:
    """Return windowed sincs (PHASES, TAPS) that read between samples, reversed for `convolve`."""
    offsets = np.arange(TAPS) - (TAPS // 2 - 1)
    away = offsets[None, :] - np.arange(PHASES)[:, None] / PHASES
    kernels = np.sinc(away) * np.cos(0.5 * np.pi * away / (TAPS // 2)) ** 2
    return np.ascontiguousarray((kernels / kernels.sum(axis=1, keepdims=True))[:, ::-1])

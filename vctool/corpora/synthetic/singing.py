"""Singing made from speech: WORLD's features of a sentence, warped onto the beat and a melody.

What makes it singing: every syllable begins on a sixteenth of the song and most of its extra
length goes to the vowel; F0 holds the melody's notes, with glides between them, a little drift and
a vibrato that sets in late; the loudness of voiced sound is evened out; and the spectrum has a
singer's formant near 2.9 kHz (Sundberg, "Articulatory interpretation of the 'singing formant'",
1974) under a darker top.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyworld

from vctool.corpora.synthetic.espeak import RATE, Phone

STRETCH = 1.5
"""Length of every sung sentence over the length of the same sentence spoken."""
FRAME_PERIOD = 0.005
"""Step of WORLD's analysis [s]."""

_VOWELS = frozenset("aeiouæɑɒɔəɛɜɚɝɪʊʌᵻɐ")
_SONORANTS = frozenset("mnŋlɹrwj")
# How readily a phone is lengthened, per second of it. Singers hold vowels; held consonants are
# hard to understand.
_GIVE = {"vowel": 1.0, "pause": 1.0, "sonorant": 0.35, "obstruent": 0.08}


@dataclass(frozen=True)
class Timing:
    """Where the parts of a spoken sentence lie when it is sung."""

    knots: np.ndarray
    """(K, 2) [s]: spoken and sung time of every phone's start and of both ends, increasing."""
    positions: tuple[int, ...]
    """Sixteenth on which each syllable's vowel begins; the first is 0."""
    onsets: tuple[float, ...]
    """The same in sung time [s]; the first is when sixteenth 0 sounds."""

    def sung(self, spoken: np.ndarray) -> np.ndarray:
        """Map spoken to sung time [s]."""
        return np.interp(spoken, self.knots[:, 0], self.knots[:, 1])

    def spoken(self, sung: np.ndarray) -> np.ndarray:
        """Map sung to spoken time [s]."""
        return np.interp(sung, self.knots[:, 1], self.knots[:, 0])


def place(phones: Sequence[Phone], seconds: float, step: float) -> Timing:
    """Place a sentence's syllables on sixteenths, as near as possible to an even stretch.

    Args:
        phones: the sentence's phones; at least one vowel.
        seconds: length of the spoken sentence [s].
        step: length of a sixteenth [s].
    """
    starts, kinds = _boundaries(phones, seconds)
    vowels = [index for index, kind in enumerate(kinds) if kind == "vowel"]
    first = STRETCH * starts[vowels[0]]
    positions = [0]
    for before, vowel in itertools.pairwise(vowels):
        even = round((STRETCH * starts[vowel] - first) / step)
        room = int(np.ceil(0.95 * (starts[vowel] - starts[before]) / step))
        positions.append(max(even, positions[-1] + room))
    onsets = [first + step * position for position in positions]

    # Between two anchors, what the sung time has more than the spoken goes to the phones by give.
    anchors = [0, *vowels, len(kinds)]
    times = [0.0, *onsets, STRETCH * seconds]
    sung = np.zeros(len(kinds) + 1)
    for (begin, end), (start, stop) in zip(
        itertools.pairwise(anchors),
        itertools.pairwise(times),
        strict=True,
    ):
        lengths = np.diff(starts[begin : end + 1])
        extra = (stop - start) - lengths.sum()
        give = lengths * [_GIVE[kind] for kind in kinds[begin:end]] if extra > 0 else lengths
        lengths = lengths + extra * give / give.sum()
        sung[begin + 1 : end + 1] = start + np.cumsum(lengths)
    return Timing(np.stack([starts, sung], axis=1), tuple(positions), tuple(onsets))


def _boundaries(phones: Sequence[Phone], seconds: float) -> tuple[np.ndarray, list[str]]:
    """Return the boundaries (K + 1,) [s] and the kinds (K) of phones, from 0 to the end."""
    starts, kinds = [0.0], ["pause"]
    for phone in phones:
        if phone.start >= seconds:
            break
        if phone.start > starts[-1]:
            starts.append(phone.start)
            kinds.append(_kind(phone.symbol))
        else:
            kinds[-1] = _kind(phone.symbol)
    return np.array([*starts, seconds]), kinds


def _kind(symbol: str) -> str:
    if not symbol.strip():
        return "pause"
    if _VOWELS & set(symbol):
        return "vowel"
    return "sonorant" if _SONORANTS & set(symbol) else "obstruent"


def sing(
    wave: np.ndarray, timing: Timing, notes: Sequence[int], rng: np.random.Generator
) -> np.ndarray:
    """Sing a spoken sentence.

    Args:
        wave: (T,) the spoken sentence at 22.05 kHz.
        timing: its placement.
        notes: MIDI note of every syllable.
        rng: source of glide lengths, vibrato and drift.

    Returns:
        (round(1.5 T),) float32 at 22.05 kHz, not level-matched.
    """
    signal = wave.astype(np.float64)
    period = 1000 * FRAME_PERIOD
    rough, time = pyworld.dio(signal, RATE, f0_floor=60.0, f0_ceil=400.0, frame_period=period)
    f0 = pyworld.stonemask(signal, rough, time, RATE)
    envelope = pyworld.cheaptrick(signal, f0, time, RATE)
    aperiodicity = pyworld.d4c(signal, f0, time, RATE)

    samples = round(STRETCH * len(wave))
    sung_time = np.arange(int(samples / RATE / FRAME_PERIOD) + 1) * FRAME_PERIOD
    frame = np.clip(timing.spoken(sung_time) / FRAME_PERIOD, 0, len(f0) - 1)
    nearest = np.round(frame).astype(int)
    below = np.minimum(frame.astype(int), len(f0) - 2)
    part = (frame - below)[:, None]
    log_envelope = np.log(envelope)
    warped = (1 - part) * log_envelope[below] + part * log_envelope[below + 1]
    voiced = f0[nearest] > 0
    warped = _even_out(warped, voiced) + _colour(envelope.shape[1])
    melody = _f0(sung_time, timing.onsets, notes, rng)
    sung = pyworld.synthesize(
        np.where(voiced, melody, 0.0),
        np.exp(warped),
        np.ascontiguousarray(aperiodicity[nearest]),
        RATE,
        period,
    )
    result = np.zeros(samples, np.float32)
    result[: len(sung)] = sung[:samples]
    return result


def _f0(
    time: np.ndarray, onsets: Sequence[float], notes: Sequence[int], rng: np.random.Generator
) -> np.ndarray:
    """Return F0 (F,) [Hz] of a melody: held notes, glides, vibrato and drift.

    Args:
        time: (F,) [s].
        onsets: when each note's vowel begins [s].
        notes: MIDI notes.
        rng: source of the variation.
    """
    pitch = np.full(len(time), float(notes[0]))
    for onset, before, after in zip(onsets[1:], notes[:-1], notes[1:], strict=True):
        length = rng.uniform(0.06, 0.10)
        # The glide is nearly over when the vowel begins.
        phase = np.clip((time - (onset - 0.75 * length)) / length, 0, 1)
        pitch += (after - before) * (0.5 - 0.5 * np.cos(np.pi * phase))
    # Syllables on one note share its vibrato, which would not set in on most of them alone.
    starts = [0, *(k for k in range(1, len(notes)) if notes[k] != notes[k - 1])]
    edges = [*(onsets[k] for k in starts), time[-1] + FRAME_PERIOD]
    for onset, end in itertools.pairwise(edges):
        rate, depth = rng.uniform(5.0, 6.0), rng.uniform(0.20, 0.35)
        onward = time - onset
        swell = np.clip((onward - 0.12) / 0.12, 0, 1) * np.clip((end - time) / 0.05, 0, 1)
        pitch += depth * swell * np.sin(2 * np.pi * rate * onward)
    for rate in (0.7, 1.9):
        pitch += rng.normal(0, 0.04) * np.sin(2 * np.pi * (rate * time + rng.random()))
    return np.asarray(440.0 * 2 ** ((pitch - 69) / 12))


def _even_out(log_envelope: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    """Halve the loudness differences of voiced frames, by 8 dB at most, without jumps."""
    if not voiced.any():
        return log_envelope
    level = 10 * np.log10(np.exp(log_envelope).mean(axis=1))
    gain = np.where(voiced, np.clip(0.5 * (np.median(level[voiced]) - level), -8, 8), 0.0)
    smooth = np.convolve(np.pad(gain, 4, mode="edge"), np.hanning(11)[1:-1] / 5, mode="valid")
    return np.asarray(log_envelope + (smooth * np.log(10) / 10)[:, None])


def _colour(bins: int) -> np.ndarray:
    """Return the log-power gain (bins,) of the singing voice's colour."""
    frequency = np.linspace(0, RATE / 2, bins)
    formant = 7.0 * np.exp(-0.5 * ((frequency - 2900) / 350) ** 2)
    top = -3.0 * np.log2(np.maximum(frequency, 4000) / 4000)
    return np.asarray((formant + top) * np.log(10) / 10)

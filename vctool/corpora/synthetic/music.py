"""A song for a sentence: key, chord loop, tempo, melody, and the accompaniment's sound.

The melody follows from the accompaniment, so that a converter can be scored on following it: a
syllable is sung on the tone of the sounding chord that lies nearest to the voice's home note, now
and then on a neighbour of it in the scale, and the last one on the chord's root.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STEPS_PER_CHORD = 8
"""Length of a chord [sixteenths]: two beats, 1.2 to 1.5 s."""
NEIGHBOUR_SHARE = 0.15
"""Share of the syllables on weak steps that are sung on a scale neighbour of the chord tone."""

_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
# Chord loops as degrees of the scale, 0 is the tonic.
_LOOPS = {
    "major": ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 3), (0, 3, 5, 4)),
    "minor": ((0, 5, 2, 6), (0, 3, 5, 6), (0, 6, 5, 6), (0, 3, 0, 6)),
}


@dataclass(frozen=True)
class Song:
    """Harmony and tempo of one song."""

    tonic: int
    """Pitch class of the key's first note, 0 (C) to 11 (B)."""
    mode: str
    """`major` or `minor`."""
    loop: tuple[int, ...]
    """Degrees of the scale on which the chords stand, in order; repeated."""
    step: float
    """Length of a sixteenth [s]."""

    @property
    def scale(self) -> tuple[int, ...]:
        """Return the seven pitch classes of the key, from the tonic up."""
        return tuple((self.tonic + interval) % 12 for interval in _SCALES[self.mode])

    def chord(self, position: int) -> tuple[int, int, int]:
        """Return root, third and fifth (pitch classes) that sound at a sixteenth.

        The first chord also sounds before position 0.
        """
        degree = self.loop[max(0, position) // STEPS_PER_CHORD % len(self.loop)]
        scale = self.scale
        return scale[degree], scale[(degree + 2) % 7], scale[(degree + 4) % 7]


@dataclass(frozen=True)
class Register:
    """Where a voice sings [MIDI notes]."""

    low: int
    home: int
    high: int


def compose(rng: np.random.Generator) -> Song:
    """Draw a song: key, chord loop (begun at any of its chords) and tempo (80 to 100 beats/min)."""
    mode = ("major", "minor")[int(rng.integers(2))]
    loop = _LOOPS[mode][int(rng.integers(len(_LOOPS[mode])))]
    turn = int(rng.integers(len(loop)))
    beats_per_minute = float(rng.uniform(80, 100))
    return Song(int(rng.integers(12)), mode, loop[turn:] + loop[:turn], 15.0 / beats_per_minute)


def melody(
    song: Song, positions: Sequence[int], register: Register, rng: np.random.Generator
) -> list[int]:
    """Choose the note of every syllable.

    Args:
        song: the harmony.
        positions: sixteenth on which each syllable begins, increasing.
        register: the range of the voice.
        rng: decides which weak syllables leave the chord.

    Returns:
        One MIDI note per syllable, within the register.
    """
    notes: list[int] = []
    for position in positions:
        chord = song.chord(position)
        note = _nearest(chord, register)
        weak = position % 2 == 1 or position % STEPS_PER_CHORD in (2, 6)
        if weak and rng.random() < NEIGHBOUR_SHARE:
            note = _neighbour(song, note, notes[-1] if notes else note + 1, register)
        notes.append(note)
    if notes:
        notes[-1] = _nearest(song.chord(positions[-1])[:1], register)
    return notes


def _nearest(classes: Sequence[int], register: Register) -> int:
    """Return the note of the given pitch classes that is nearest home, the lower of two."""
    notes = [n for n in range(register.low, register.high + 1) if n % 12 in classes]
    return min(notes, key=lambda note: (abs(note - register.home), note))


def _neighbour(song: Song, note: int, towards: int, register: Register) -> int:
    """Return the next note of the scale in the direction of another note."""
    direction = 1 if towards >= note else -1
    other = note + direction
    while other % 12 not in song.scale:
        other += direction
    return other if register.low <= other <= register.high else note


def accompany(
    song: Song, first_beat: float, samples: int, rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Play chords, bass and drums.

    Args:
        song: what is played.
        first_beat: time of sixteenth 0 [s].
        samples: length of the result.
        rate: sampling rate [Hz].
        rng: source of the drums' noise.

    Returns:
        (samples,) float32, not level-matched.
    """
    wave = np.zeros(samples)
    first = -4 * (1 + int(first_beat / (4 * song.step)))
    last = int((samples / rate - first_beat) / song.step) + 1
    for position in range(first, last + 1):
        time = first_beat + position * song.step
        root, third, fifth = song.chord(position)
        if position % 4 == 0:
            for pitch_class in (root, third, fifth):
                # Close position around middle C, whatever the inversion.
                note = 55 + (pitch_class - 55) % 12
                _add(wave, _pluck(note, 4 * song.step + 0.1, 0.9, rate), time, rate, 0.30)
            _add(wave, _pluck(36 + root, 4 * song.step, 0.6, rate), time, rate, 0.45)
            drum = _kick(rate) if position % 8 == 0 else _noise(0.12, 0.03, rate, rng)
            _add(wave, drum, time, rate, 0.5 if position % 8 == 0 else 0.10)
        if position % 2 == 0:
            _add(wave, np.diff(_noise(0.05, 0.01, rate, rng), prepend=0), time, rate, 0.05)
    return wave.astype(np.float32)


def _pluck(note: int, seconds: float, decay: float, rate: int) -> np.ndarray:
    """Sound a note of six harmonics that fall by 1/k and die away, the high ones first."""
    time = np.arange(int(seconds * rate)) / rate
    f0 = 440.0 * 2 ** ((note - 69) / 12)
    wave = sum(
        np.sin(2 * np.pi * k * f0 * time) / k * np.exp(-time * (0.5 + 0.5 * k) / decay)
        for k in range(1, 7)
    )
    return np.asarray(wave) * _fades(len(time), rate)


def _kick(rate: int) -> np.ndarray:
    """Sound a drum: a sine that falls from 120 to 50 Hz."""
    time = np.arange(int(0.2 * rate)) / rate
    phase = 2 * np.pi * (50 * time + 70 * 0.03 * (1 - np.exp(-time / 0.03)))
    return np.asarray(np.sin(phase) * np.exp(-time / 0.06) * _fades(len(time), rate))


def _noise(seconds: float, decay: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Sound a burst of white noise."""
    time = np.arange(int(seconds * rate)) / rate
    burst = rng.standard_normal(len(time)) * np.exp(-time / decay)
    return np.asarray(burst * _fades(len(time), rate))


def _fades(samples: int, rate: int) -> np.ndarray:
    """Return a gain (samples,) that rises over 2 ms and falls over 20 ms."""
    index = np.arange(samples)
    return np.minimum(1.0, np.minimum(index / (0.002 * rate), (samples - index) / (0.020 * rate)))


def _add(wave: np.ndarray, sound: np.ndarray, time: float, rate: int, gain: float) -> None:
    """Add a sound to a wave from a time on; what lies outside the wave is cut."""
    start = round(time * rate)
    begin, end = max(0, start), min(len(wave), start + len(sound))
    if begin < end:
        wave[begin:end] += gain * sound[begin - start : end - start]

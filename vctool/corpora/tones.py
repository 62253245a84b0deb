"""The built-in corpus `tones`: additive instruments that play drawn melodies and chords.

Eight instruments are sums of partials with an envelope each, and differ in how these fall off, in
formants, in attack and decay, and in breath. Stretches of four seconds are drawn in a key each, a
melody (`mono`) or a melody over held chords (`poly`). In training every stretch is played by two of
six instruments; `UNHEARD` plays in test alone. Built in seconds with numpy; nothing is fetched, and
nobody was recorded.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vctool import audio
from vctool.acquisition.built import building
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Report
from vctool.corpora.timbre import casting, writing
from vctool.corpora.timbre.casting import Cast, Stretch
from vctool.errors import DataError
from vctool.workers import Workers

INFO = CorpusInfo(
    name="tones",
    title="the built-in corpus of additive instruments",
    hours=0.11,
    licence="CC0 1.0; synthetic, nobody was recorded",
    homepage="built here by `vctool download tones`",
    rate=16000,
    layout="tones/corpus.json, as built by `vctool download tones`",
)

SECONDS = 4.0
"""Length of a stretch [s]."""

LEVEL_DB = -23.0
"""Active level of every recording [dB of full scale]."""

AUDIBLE_DB = 60.0
"""Above the last partial that is not this far below a note's loudest there are none [dB]."""

RELEASE = 0.06
"""A note dies away within this after its end [s]."""

_VERSION = 1
"""Raised whenever the same seed and sizes give other samples."""

_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
_LENGTHS = (0.25, 0.375, 0.5, 0.75)  # of melody notes [s]
_CHORD = 1.0  # length of a chord [s]


@dataclass(frozen=True)
class Instrument:
    """How partials of a note sound."""

    slope: float
    """By how much partials fall off [dB/octave]."""
    even: float
    """Level of even partials [dB]."""
    formant: float
    """Where partials are raised [Hz]."""
    attack: float
    """Time until a note is at its full level [s]."""
    decay: float
    """Time in which a held note falls by 8.7 dB [s]; infinite for one that is blown or bowed."""
    brightness: float = 1.0
    """How much faster partial k decays than the first one: `k ** (brightness - 1)` times."""
    breath: float = -80.0
    """Level of noise above 2 kHz below the partials [dB]."""


SEEN = {
    "brass": Instrument(4.0, 0.0, 1200.0, 0.05, np.inf),
    "flute": Instrument(14.0, -3.0, 800.0, 0.06, np.inf, breath=-30.0),
    "guitar": Instrument(7.0, 0.0, 400.0, 0.003, 0.45, 1.5),
    "organ": Instrument(9.0, 6.0, 3000.0, 0.01, np.inf),
    "reed": Instrument(6.0, -25.0, 1500.0, 0.03, np.inf, breath=-45.0),
    "vibes": Instrument(18.0, -12.0, 2500.0, 0.002, 0.8, 1.3),
}
"""Instruments of training."""

UNHEARD = {
    "harp": Instrument(11.0, -4.0, 600.0, 0.004, 0.6, 1.4),
    "horn": Instrument(8.0, -1.0, 500.0, 0.07, np.inf),
}
"""Instruments of test alone."""


@dataclass(frozen=True)
class Sizes:
    """Stretches of every split, half of them melodies and half with chords."""

    train: int = 36
    dev: int = 6
    test: int = 8


def download(root: Path, *, seed: int = 0, nj: int = 2, sizes: Sizes | None = None) -> Path:
    """Build the corpus in `root/tones`, unless it stands there already.

    Args:
        root: folder of all corpora.
        seed: of everything that is drawn; the same seed and sizes give the same samples.
        nj: number of processes.
        sizes: number of stretches; six minutes of sound in all where not given.

    Returns:
        The corpus's folder.

    Raises:
        DataError: the folder cannot be written to.
    """
    sizes = sizes or Sizes()
    target = Path(root) / "tones"
    made_from = {"version": _VERSION, "seed": seed, "sizes": vars(sizes)}
    if (target / "corpus.json").is_file() and _corpus(target) == made_from:
        return target
    cast = _cast(seed, sizes)
    with building(target) as beside:
        takes = [take for own in cast.takes.values() for take in own]
        with Workers(nj, here=True) as workers:
            for _ in workers.map(partial(_perform, beside / "wav", seed), takes):
                pass
        (beside / "corpus.json").write_text(json.dumps(made_from, indent=1) + "\n")
    return target


def find(downloads: Path) -> Path:
    """Locate a built corpus: the folder itself, or its parent.

    Raises:
        DataError: neither is one.
    """
    return locate(Path(downloads), INFO, ("corpus.json",))


def prepare(source: Path, out: Path, *, seed: int = 0, nj: int = 1) -> Report:
    """Write the data dirs, with triplets in dev and test.

    Args:
        source: the corpus's folder, from `download` or `find`.
        out: folder of the data dirs.
        seed: not used; all was drawn when the corpus was built.
        nj: not used.

    Raises:
        DataError: the corpus is incomplete.
    """
    built = _corpus(source)
    own: int = built["seed"]
    cast = _cast(own, Sizes(**built["sizes"]))
    ids = [take.id for takes in cast.takes.values() for take in takes]
    wavs = {name: Path(source) / "wav" / f"{name}.wav" for name in ids}
    return writing.write(
        INFO,
        Path(out),
        cast,
        wavs,
        SECONDS,
        lambda name: notes(name, own),
        disjoint_by="stretch of notes",
        told=(f"synthetic, seed {own}; {' and '.join(UNHEARD)} play in test alone",),
    )


def notes(stretch: str, seed: int = 0) -> list[tuple[float, float, int]]:
    """Draw the notes of a stretch from its name and the seed.

    Returns:
        Onset [s], offset [s] and MIDI pitch (45 to 84) of every note, by onset.
    """
    split, voices, number = stretch.split("_")
    place = ("train", "dev", "test").index(split), ("mono", "poly").index(voices), int(number)
    draw = np.random.default_rng([seed, *place])
    scale, tonic = _SCALES[int(draw.integers(2))], int(draw.integers(12))
    keys = [key for key in range(57, 85) if (key - tonic) % 12 in scale]
    at, start, found = int(draw.integers(4, len(keys) - 4)), 0.0, []
    while start < SECONDS - 0.2:
        length = min(float(draw.choice(_LENGTHS)), SECONDS - start)
        found.append((start, start + 0.92 * length, keys[at]))
        at = int(np.clip(at + draw.integers(-3, 4), 0, len(keys) - 1))
        start += length
    if voices == "poly":
        for beat in np.arange(0.0, SECONDS, _CHORD).tolist():
            root = int(draw.integers(len(scale)))
            for step in (0, 2, 4):
                pitch = 45 + (tonic + scale[(root + step) % 7] - 45) % 12
                found.append((beat, beat + 0.95 * _CHORD, pitch))
    return sorted(found)


def play(
    played: Sequence[tuple[float, float, int]], instrument: Instrument, draw: np.random.Generator
) -> np.ndarray:
    """Play notes on an instrument: (SECONDS * rate,) float32, at no particular level."""
    wave = np.zeros(round(SECONDS * INFO.rate))
    for onset, offset, pitch in played:
        begin = round(onset * INFO.rate)
        note = _note(440.0 * 2 ** ((pitch - 69) / 12), offset - onset, instrument, draw)
        note = note[: len(wave) - begin]
        wave[begin : begin + len(note)] += note
    return wave.astype(np.float32)


def _note(f0: float, held: float, sound: Instrument, draw: np.random.Generator) -> np.ndarray:
    """Sum the partials of a note, (T,), held for some seconds and then released."""
    time = np.arange(round((held + RELEASE) * INFO.rate)) / INFO.rate
    order = np.arange(1, int(0.45 * INFO.rate / f0) + 1)
    level = -sound.slope * np.log2(order) + sound.even * (order % 2 == 0)
    level += 12.0 * np.exp(-0.5 * (np.log2(order * f0 / sound.formant) / 0.5) ** 2)
    weight = 10 ** (level / 20) * np.exp(2j * np.pi * draw.random(len(order)))
    turn, power, wave = np.exp(2j * np.pi * f0 * time), np.ones(len(time), complex), 0.0 * time
    audible = int(np.flatnonzero(level > level.max() - AUDIBLE_DB)[-1]) + 1
    for k, own in zip(order[:audible].tolist(), weight, strict=False):
        power *= turn  # its k-th power: partials without a sine each
        partial = (own * power).imag
        if np.isfinite(sound.decay):
            partial *= np.exp(time * (-(k ** (sound.brightness - 1)) / sound.decay))
        wave += partial
    noise = np.diff(draw.standard_normal(len(time) + 1))  # 6 dB/octave brighter than white
    wave += 10 ** (sound.breath / 20) * np.abs(wave).max() * noise
    rise = np.clip(time / sound.attack, 0.0, 1.0)
    fall = np.clip((held + RELEASE - time) / RELEASE, 0.0, 1.0)
    return np.asarray(wave * rise * fall)


def _cast(seed: int, sizes: Sizes) -> Cast:
    stretches = [
        Stretch(name, name, split, voices)
        for split, count in vars(sizes).items()
        for number in range(count)
        for voices in [("mono", "poly")[number % 2]]
        for name in [f"{split}_{voices}_{number // 2:03d}"]
    ]
    unheard = {"unheard_programs": list(UNHEARD)}
    return casting.cast(stretches, list(SEEN), unheard, seed, INFO.name)


def _perform(folder: Path, seed: int, take: casting.Take) -> None:
    """Write one recording."""
    known = {**SEEN, **UNHEARD}
    draw = np.random.default_rng([seed, *take.id.encode()])
    wave = play(notes(take.stretch.name, seed), known[take.instrument], draw)
    wave = audio.match_level(wave, INFO.rate, LEVEL_DB)
    audio.write(folder / f"{take.id}.wav", wave, INFO.rate)


def _corpus(folder: Path) -> dict[str, Any]:
    """Read `corpus.json`."""
    path = Path(folder) / "corpus.json"
    try:
        corpus = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; delete {folder} to have it built anew") from None
    assert isinstance(corpus, dict), path
    return corpus

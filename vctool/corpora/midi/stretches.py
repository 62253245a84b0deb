"""Corpora for the transfer of timbre, from MIDI: stretches of tunes played by many programs.

A stretch is eight seconds of a tune's melody (`mono`) or of it with its accompaniment (`poly`), all
played by one program, transposed by up to five semitones. In training each is played by two of the
`SEEN` programs of FluidR3 GM, dry or with a chain of effects that belongs to the instrument: the
instrument `fluidr3-040_fx1` is program 40 with its first chain, so that whatever it plays has the
same effects. Dev and test are dry and hold triplets; `UNHEARD` programs and TimGM6mb play in test
alone.

Splits are disjoint by tune, where tunes with the same notes in another key or tempo count as one,
and no stretch of dev or test has the notes of one that training may have.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from vctool import audio, workers
from vctool.acquisition import splits
from vctool.acquisition.info import CorpusInfo
from vctool.acquisition.report import Rejected, Report
from vctool.corpora.midi import batches, effects, excerpts, melodies, rendering, score, soundfonts
from vctool.corpora.midi.rendering import NoSound, Rendering
from vctool.corpora.midi.score import Track
from vctool.corpora.timbre import casting, writing
from vctool.corpora.timbre.casting import Stretch, Take
from vctool.errors import DataError
from vctool.progress import progress

RATE = 16000
"""Sampling rate of what is rendered [Hz]."""

SECONDS = excerpts.STRETCH
"""Length of a stretch [s]."""

LEVEL_DB = -23.0
"""Active level of every recording [dB of full scale]."""

FONT, OTHER_FONT = soundfonts.FLUID, soundfonts.TIMGM
"""What everything is played with, and what one group of test is."""

SEEN = (
    *(0, 4, 6, 11, 12, 16, 19, 21, 24, 25, 26, 30, 40, 42),
    *(45, 46, 48, 52, 56, 57, 60, 61, 64, 66, 68, 71, 73),
)
"""General MIDI programs of training."""

UNHEARD = (5, 18, 22, 27, 41, 65, 70, 75)
"""Programs of test alone: a second electric piano, rock organ, harmonica, clean guitar, viola, alto
saxophone, bassoon, pan flute."""

VARIANTS = 3
"""An instrument of training plays dry and with this less one chains of effects, in turns."""

LAST = 0.05
"""Notes that begin this shortly before a stretch ends are left out [s]."""

LEAST_CHORD_NOTES = 6
"""Notes besides the melody in a stretch that is told as `poly`."""

COUNTS = {"train": 320, "dev": 12, "test": 32}
"""Most melodies of a split, and as many with accompaniment; of training two recordings each."""

Arrange = Callable[[tuple[Track, ...]], tuple[Track, tuple[Track, ...]]]
"""Tells the melody of a song from the parts that accompany it."""

Tracks = tuple[Track, ...]
"""What is played in a stretch, from 0 on."""

_VERSION = 1  # raised whenever the same files give other recordings


@dataclass(frozen=True)
class Tune:
    """A file's melody and what accompanies it, without drums."""

    name: str
    """Its name in ids."""
    melody: Track
    """Moved by whole octaves into the instruments' range."""
    chords: tuple[Track, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Shared by tunes with the same melody."""
        return score.fingerprint(self.melody)

    def cut(self, place: int) -> Track:
        """Return a stretch of the melody, from 0 on."""
        return self.melody.between(place * SECONDS, (place + 1) * SECONDS)

    def accompanied(self, place: int) -> bool:
        """Tell whether a stretch has more than a melody."""
        start = place * SECONDS
        onsets = [note.start for track in self.chords for note in track.notes]
        return sum(start <= when < start + SECONDS for when in onsets) >= LEAST_CHORD_NOTES

    @cached_property
    def places(self) -> dict[int, str]:
        """Where stretches begin, in whole stretches, and the fingerprints of their notes."""
        return {
            place: score.fingerprint(self.cut(place))
            for place in excerpts.busy(self.melody)
            if (place + 1) * SECONDS <= self.melody.end + 1.0  # not half silent
        }


def prepare(
    info: CorpusInfo,
    files: Mapping[str, Path],
    arrange: Arrange,
    out: Path,
    *,
    seed: int,
    nj: int,
    counts: Mapping[str, int] | None = None,
) -> Report:
    """Render stretches of tunes, and write their data dirs.

    Args:
        info: the corpus.
        files: MIDI files by the names of their tunes.
        arrange: finds the melody; a function that other processes can import.
        out: folder of the data dirs, and of `rendered`.
        seed: of all that is drawn.
        nj: number of threads.
        counts: most melodies of every split; `COUNTS` where not given.

    Raises:
        DataError: FluidSynth or a sound font is not installed, the disk is too small, or there are
            too few tunes.
    """
    rendering.program()
    fonts = {font.name: soundfonts.require(font) for font in (FONT, OTHER_FONT)}
    with workers.threads(nj) as pool:
        read = list(pool.map(partial(_look, arrange=arrange), files, files.values()))
    tunes = {one.name: one for one in read if isinstance(one, Tune)}
    rejected = [one for one in read if isinstance(one, Rejected)]
    parts = _deal(info, tunes, seed, counts or COUNTS)
    cast = casting.cast(
        parts,
        [_instrument(FONT.name, program) for program in SEEN],
        {
            "unheard_programs": [_instrument(FONT.name, program) for program in UNHEARD],
            "unheard_font": [_instrument(OTHER_FONT.name, program) for program in SEEN],
        },
        seed,
        info.name,
        variants=lambda instrument, turn: _variant(instrument, turn % VARIANTS),
    )
    takes = [take for own in cast.takes.values() for take in own]
    rendering.check_room(out, SECONDS * len(takes), RATE)
    play = partial(_play, parts=parts, fonts=fonts, seed=seed, folder=out / melodies.RENDERED)
    groups = _grouped(takes)
    wavs: dict[str, Path] = {}
    with workers.threads(nj) as pool:
        for own, found in zip(
            groups,
            progress(pool.map(play, groups), f"render {info.name}", len(groups)),
            strict=True,
        ):
            for take, made in zip(own, found, strict=True):
                if isinstance(made, Path):
                    wavs[take.id] = made
                else:
                    rejected.append(Rejected(files[take.stretch.tune], f"{take.id}: {made}"))
    notes = {stretch.name: tracks for stretch, tracks in parts.items()}
    return writing.write(
        info,
        out,
        cast,
        wavs,
        SECONDS,
        lambda name: [(n.start, n.end, n.pitch) for track in notes[name] for n in track.notes],
        disjoint_by="tune",
        rejected=rejected,
        told=[
            f"played by FluidSynth with {FONT.title} and, in a part of test, {OTHER_FONT.title}; "
            f"{len(SEEN)} programs in training, {len(UNHEARD)} others in test alone"
        ],
    )


def _look(name: str, file: Path, *, arrange: Arrange) -> Tune | Rejected:
    """Read a file."""
    try:
        melody, others = arrange(score.read(file))
    except DataError as error:
        return Rejected(file, str(error).removeprefix(f"{file}: "))
    plain = replace(melody.transposed(melodies.octaves(melody)), controls=(), drums=False)
    chords = tuple(replace(one, controls=()) for one in others if not one.drums)
    tune = Tune(name, plain, chords)
    return tune if tune.places else Rejected(file, f"no {SECONDS:g} s with enough onsets")


def _deal(
    info: CorpusInfo, tunes: Mapping[str, Tune], seed: int, counts: Mapping[str, int]
) -> dict[Stretch, Tracks]:
    """Draw the stretches of every split, with what is played in them.

    Raises:
        DataError: there are too few tunes for three splits.
    """
    first: dict[str, str] = {}
    for tune in tunes.values():
        first.setdefault(tune.fingerprint, tune.name)
    if len(first) < 4:
        raise DataError(
            f"corpus {info.name}: {len(first)} usable tunes cannot be divided into three splits; "
            f"bring all of {info.layout}"
        )
    chosen = splits.by_group(dict.fromkeys(first.values(), ""), seed, info.name)
    split_of = {tune.name: chosen[first[tune.fingerprint]] for tune in tunes.values()}
    known: set[str] = set()  # notes of the splits before
    found: dict[Stretch, Tracks] = {}
    for split, most in counts.items():
        here: set[str] = set()
        # a stretch of every tune in turn, so that few tunes do not fill a split
        turns: dict[str, tuple[int, str, int]] = {}
        for tune in tunes.values():
            if split_of[tune.name] != split:
                continue
            places = [place for place, notes in tune.places.items() if notes not in known]
            here.update(tune.places.values())
            order = splits.shuffled(map(str, places), seed, f"{info.name}/{tune.name}")
            turns |= {
                f"{tune.name}/{place}": (turn, tune.name, int(place))
                for turn, place in enumerate(order)
            }
        mixed = sorted(
            splits.shuffled(turns, seed, f"{info.name}/{split}"), key=lambda one: turns[one][0]
        )
        for voices in ("mono", "poly"):
            able = [(tunes[turns[one][1]], turns[one][2]) for one in mixed]
            if voices == "poly":
                able = [(tune, place) for tune, place in able if tune.accompanied(place)]
            for tune, place in able[:most]:
                stretch, tracks = _drawn(tune, place, split, voices, seed)
                found[stretch] = tracks
        known |= here
    return found


def _drawn(tune: Tune, place: int, split: str, voices: str, seed: int) -> tuple[Stretch, Tracks]:
    """Transpose a stretch by what its name and the seed draw."""
    key = f"{seed}/{_VERSION}/{tune.name}/{place}/{voices}"
    digest = hashlib.sha256(key.encode()).digest()
    move = digest[0] % (2 * excerpts.TRANSPOSED + 1) - excerpts.TRANSPOSED
    tracks = [tune.cut(place)]
    if voices == "poly":
        tracks += [one.between(place * SECONDS, (place + 1) * SECONDS) for one in tune.chords]
    heard = [
        replace(one, notes=tuple(note for note in one.notes if note.start < SECONDS - LAST))
        for one in tracks
    ]
    moved = tuple(one.transposed(move) for one in heard if one.notes)
    name = f"{tune.name}_{round(1000 * SECONDS * place):07d}_{voices}{move:+d}"
    return Stretch(name.replace("+", "p").replace("-", "m"), tune.name, split, voices), moved


def _instrument(font: str, program: int) -> str:
    return f"{font}-{program:03d}"


def _variant(instrument: str, number: int) -> str:
    """Name an instrument with its n-th chain of effects; 0 is dry."""
    return f"{instrument}_fx{number}" if number else instrument


def _parsed(instrument: str) -> tuple[str, int]:
    """Return the font and the program of an instrument."""
    font, program = instrument.partition("_")[0].rsplit("-", 1)
    return font, int(program)


def chain_of(instrument: str, seed: int) -> effects.Chain:
    """Return the effects of an instrument; none where it is dry."""
    if "_fx" not in instrument:
        return ()
    digest = hashlib.sha256(f"{seed}/effects/{instrument}".encode()).digest()
    return effects.draw(np.random.default_rng(list(digest[:8])), least=1)


def _grouped(takes: Iterable[Take]) -> list[list[Take]]:
    """Put together what one run of FluidSynth plays."""
    by_program: dict[tuple[str, int], list[Take]] = defaultdict(list)
    for take in takes:
        by_program[_parsed(take.instrument)].append(take)
    return [
        own[start : start + batches.AT_ONCE]
        for _, own in sorted(by_program.items())
        for start in range(0, len(own), batches.AT_ONCE)
    ]


def _play(
    takes: Sequence[Take],
    *,
    parts: Mapping[Stretch, Tracks],
    fonts: Mapping[str, Path],
    seed: int,
    folder: Path,
) -> list[Path | NoSound]:
    """Render takes of one program, or find them rendered.

    Raises:
        DataError: FluidSynth fails, or the font is damaged.
        AudioError: the folder cannot be written to.
    """
    font, program = _parsed(takes[0].instrument)
    found: list[Path | NoSound] = []
    missing: list[tuple[int, Rendering, effects.Chain]] = []
    for place, take in enumerate(takes):
        tracks = tuple(replace(one, program=program) for one in parts[take.stretch])
        job, chain = Rendering(tracks, fonts[font], RATE, SECONDS), chain_of(take.instrument, seed)
        made_from = [job.hash, batches.VERSION, effects.VERSION, LEVEL_DB, *map(asdict, chain)]
        digest = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:8]
        path = folder / take.instrument / f"{take.stretch.name}-{digest}.wav"
        found.append(path)
        if not path.exists():  # files are written atomically, so it is complete
            missing.append((place, job, chain))
    made = batches.render([job for _, job, _ in missing])
    for (place, _, chain), wave in zip(missing, made, strict=True):
        target = found[place]
        if isinstance(wave, NoSound):
            found[place] = wave
        elif isinstance(target, Path):
            wave = audio.match_level(effects.apply(wave, RATE, chain), RATE, LEVEL_DB)
            audio.write(target, wave, RATE)
    return found

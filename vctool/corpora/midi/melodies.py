"""Corpora of melodies: each tune played by one of three instruments, to its own accompaniment.

In training every tune is played by one instrument, dealt in turns by chance, so that nothing is
parallel; test tunes are played by all, which gives every segment of one a counterpart of the other
at the same times (`sentence` names both). Melodies are moved by whole octaves into the range that
the instruments share. Splits are disjoint by tune, where tunes with the same notes in another key
or tempo count as one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vctool import workers
from vctool.acquisition import activity, splits
from vctool.acquisition.clips import clip, into_splits, measured, segment
from vctool.acquisition.info import CorpusInfo
from vctool.acquisition.report import Rejected, Report, finish
from vctool.corpora.midi import rendering, score, soundfonts
from vctool.corpora.midi.rendering import NoSound, Rendering
from vctool.corpora.midi.score import Track
from vctool.data.datadir import Utterance
from vctool.errors import DataError

RATE = 22050
"""Sampling rate of what is rendered [Hz]."""

FONT = soundfonts.FLUID
"""What everything is played with."""

PIANO = 0
"""The General MIDI program of accompaniments."""

VOICES = {"violin": 40, "flute": 73, "clarinet": 71}
"""The instruments that play melodies, and their General MIDI programs."""

RANGE = (60, 91)
"""Lowest and highest key that all of them play."""

RENDERED = "rendered"
"""Folder of the recordings, beside the data dirs."""

Arrange = Callable[[tuple[Track, ...]], tuple[Track, tuple[Track, ...]]]
"""Tells the melody of a song from the parts that accompany it."""


@dataclass(frozen=True)
class Tune:
    """What is known of a file before it is rendered."""

    name: str
    """Its name in ids."""
    file: Path
    fingerprint: str
    """Shared by tunes with the same notes."""
    seconds: float
    """Length of its recordings [s]."""
    accompanied: bool


@dataclass(frozen=True)
class Played:
    """The recordings of a tune."""

    voices: Mapping[str, Path]
    """By instrument."""
    accomp: Path | None

    @property
    def lead(self) -> Path:
        """The recording whose phrases are everybody's."""
        return next(iter(self.voices.values()))


def prepare(
    info: CorpusInfo,
    files: Mapping[str, Path],
    arrange: Arrange,
    out: Path,
    *,
    seed: int,
    nj: int,
) -> Report:
    """Render melodies, and write their data dirs.

    Args:
        info: the corpus.
        files: MIDI files by the names of their tunes.
        arrange: finds the melody; a function that other processes can import.
        out: folder of the data dirs, and of `rendered`.
        seed: of the splits, and of which instrument plays what.
        nj: number of threads.

    Raises:
        DataError: FluidSynth or the sound font is not installed, the disk is too small, or there
            are fewer than four tunes.
    """
    rendering.program()
    font = soundfonts.require(FONT)
    with workers.threads(nj) as pool:
        read = list(pool.map(partial(_look, arrange=arrange), files, files.values()))
    tunes = [one for one in read if isinstance(one, Tune)]
    rejected = [one for one in read if isinstance(one, Rejected)]
    assigned = _assign(info, tunes, seed)
    voices = _deal(tunes, assigned, seed, info.name)
    total = sum(one.seconds * (len(voices[one.name]) + one.accompanied) for one in tunes)
    rendering.check_room(out / RENDERED, total, RATE)
    task = partial(_play, arrange=arrange, font=font, folder=out / RENDERED)
    with workers.threads(nj) as pool:
        results = list(pool.map(task, tunes, [voices[one.name] for one in tunes]))
    played = {
        tune: one for tune, one in zip(tunes, results, strict=True) if not isinstance(one, Rejected)
    }
    rejected += [one for one in results if isinstance(one, Rejected)]
    # phrases of one instrument are everybody's, so that all have the same segments
    cuts = activity.segments_of([one.lead for one in played.values()], nj=nj)
    found = [
        phrase for tune, one in played.items() for phrase in _phrases(tune, one, cuts[one.lead])
    ]
    usable, unusable = _sounding(found, info, nj)
    tune_of = {one.id: one.sentence.rsplit("_", 1)[0] for one in usable if one.sentence}
    return finish(
        info.name,
        out,
        into_splits(usable, lambda one: assigned[tune_of[one.id]]),
        disjoint_by="tune",
        rejected=[*rejected, *unusable],
        notes=[f"played by FluidSynth with {FONT.title}"],
    )


def _look(name: str, file: Path, *, arrange: Arrange) -> Tune | Rejected:
    """Read a file for the first time."""
    try:
        melody, others = arrange(score.read(file))
    except DataError as error:
        return Rejected(file, str(error).removeprefix(f"{file}: "))
    seconds = rendering.length((melody, *others))
    return Tune(name, file, score.fingerprint(melody), seconds, bool(others))


def _assign(info: CorpusInfo, tunes: Sequence[Tune], seed: int) -> dict[str, str]:
    """Return the split of every tune."""
    first: dict[str, str] = {}
    for tune in tunes:
        first.setdefault(tune.fingerprint, tune.name)
    if len(first) < 4:
        raise DataError(
            f"corpus {info.name}: {len(first)} usable tunes cannot be divided into three splits; "
            f"bring all of {info.layout}"
        )
    chosen = splits.by_group(dict.fromkeys(first.values(), ""), seed, info.name)
    return {tune.name: chosen[first[tune.fingerprint]] for tune in tunes}


def _deal(
    tunes: Sequence[Tune], assigned: Mapping[str, str], seed: int, purpose: str
) -> dict[str, tuple[str, ...]]:
    """Return who plays each tune: everybody in test, else one, in turns."""
    names = tuple(VOICES)
    dealt: dict[str, tuple[str, ...]] = {}
    for split in ("train", "dev"):
        own = [tune.name for tune in tunes if assigned[tune.name] == split]
        order = splits.shuffled(own, seed, f"{purpose}/voices")
        dealt |= {tune: (names[turn % len(names)],) for turn, tune in enumerate(order)}
    return {tune.name: dealt.get(tune.name, names) for tune in tunes}


def _play(
    tune: Tune, voices: Sequence[str], *, arrange: Arrange, font: Path, folder: Path
) -> Played | Rejected:
    """Render a tune's recordings, or find them rendered."""
    melody, others = arrange(score.read(tune.file))
    melody = melody.transposed(octaves(melody))

    def render(name: str, *tracks: Track) -> Path:
        job = Rendering(tracks, font, RATE, tune.seconds)
        return rendering.render_to(job, folder / name, tune.name)

    try:
        found = {
            voice: render(voice, replace(melody, program=VOICES[voice], drums=False))
            for voice in voices
        }
        parts = [one if one.drums else replace(one, program=PIANO) for one in others]
        accomp = render("accompaniment", *parts) if parts else None
    except NoSound as error:
        return Rejected(tune.file, str(error))
    return Played(found, accomp)


def octaves(melody: Track) -> int:
    """Return by how many semitones, in whole octaves, a melody fits the instruments best."""
    low, high = RANGE

    def outside(shift: int) -> int:
        return sum(not low <= note.pitch + shift <= high for note in melody.notes)

    return min((12 * octave for octave in range(-5, 6)), key=lambda s: (outside(s), abs(s), s))


def _phrases(tune: Tune, played: Played, cuts: Sequence[tuple[float, float]]) -> list[Utterance]:
    """Describe the phrases of a tune, by all who play it."""
    found = []
    for voice, file in played.voices.items():
        recording = replace(
            clip(file, voice, tune.name, domain=voice),
            accomp=() if played.accomp is None else (played.accomp,),
        )
        for start, end in cuts:
            name = f"{tune.name}_{round(1000 * start):07d}"
            found.append(replace(segment(recording, start, end), sentence=name))
    return found


def _sounding(
    found: Sequence[Utterance], info: CorpusInfo, nj: int
) -> tuple[list[Utterance], list[Rejected]]:
    """Leave out recordings that cannot be used."""
    recordings = {one.wav: one for one in found}
    usable, rejected = measured(recordings.values(), info, longest=None, nj=nj)
    kept = {one.wav for one in usable}
    return [one for one in found if one.wav in kept], rejected

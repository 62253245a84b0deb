"""Philharmonia Orchestra sound samples: single notes of some twenty instruments, 44.1 kHz MP3.

A folder for every instrument holds `<instrument>_<pitch>_<length>_<dynamic>_<articulation>.mp3`,
such as `cello_As2_15_forte_arco-normal.mp3` (lengths without a point: `15` is a second and a half).
The instrument is both speaker and domain. Pitches are held out, the same ones for all instruments;
notes in the usual articulation that agree in pitch, length and dynamic are each other's
counterparts (`sentence`, and `stretch` for the transfer of timbre, of which dev and test hold
triplets). Percussion has no pitch and is left out.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vctool.acquisition.archive import Archive
from vctool.acquisition.clips import absent, clip, first_found, into_splits, measured
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Report, finish
from vctool.acquisition.splits import by_sentence, shuffled
from vctool.acquisition.survey import word
from vctool.data.datadir import DataDir, Triplet, Utterance

_COMMIT = "717b7de2bcae05e44aa8a3dde143c8d093b8f6c8"

INFO = CorpusInfo(
    name="philharmonia",
    title="Philharmonia Orchestra sound samples",
    hours=7.0,
    hours_estimated=True,
    licence="CC BY-SA 3.0; must not be sold or offered as samples",
    homepage="https://philharmonia.co.uk/resources/sound-samples/",
    rate=44100,
    layout="Philharmonia/<instrument>/<instrument>_<pitch>_<length>_<dynamic>_<articulation>.mp3",
    archives=(
        Archive(
            f"https://github.com/skratchdot/philharmonia-samples/archive/{_COMMIT}.zip",
            source="the repository at this commit; GitHub states neither size nor checksum",
            name="philharmonia-samples.zip",
        ),
    ),
)

FOLDERS = ("audio", ".")
"""Where the instruments' folders may lie, of which the first that has any is taken."""

_NOTES = "*/*_[A-G]*[0-9]_*_*_*.mp3"
_NAME = re.compile(
    r"(?P<instrument>[^_]+)_(?P<pitch>[A-G]s?\d)_(?P<length>[^_]+)_(?P<dynamic>[^_]+)_"
    r"(?P<articulation>[^_]+)"
)
_USUAL = ("normal", "arco-normal")

MOST_TRIPLETS = 200
"""Most conversions of a split that are scored."""


def find(downloads: Path) -> Path:
    """Return the folder that holds `audio`, or the instruments' own folders.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, (f"{folder}/{_NOTES}" for folder in FOLDERS))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs of the notes; no pitch is in two splits.

    Raises:
        DataError: there is no usable note, or too few pitches for three splits.
    """
    files = first_found(source, FOLDERS, _NOTES)
    named = {file: match for file in files if (match := _NAME.fullmatch(file.stem))}
    if not named:
        absent(source, INFO)
    usable, rejected = measured([_note(file, name) for file, name in named.items()], INFO, nj=nj)
    pitches: dict[str, set[str]] = {}
    for one in usable:
        pitches.setdefault(one.speaker, set()).add(named[one.wav]["pitch"])
    chosen = by_sentence(pitches, seed, INFO.name)
    return finish(
        INFO.name,
        out,
        into_splits(usable, lambda one: chosen[named[one.wav]["pitch"]]),
        disjoint_by="pitch",
        rejected=rejected,
        complete=lambda data: replace(data, triplets=_triplets(data, seed)),
    )


def _triplets(data: DataDir, seed: int) -> tuple[Triplet, ...]:
    """Pair notes with every instrument that plays them too, and with another note by it."""
    if data.path.name == "train":
        return ()
    found = {
        f"{one.content}/{one.target}": one
        for one in _all_triplets(data, f"{INFO.name}/styles", seed)
    }
    drawn = shuffled(found, seed, f"{INFO.name}/triplets")[:MOST_TRIPLETS]
    return tuple(
        found[name]._replace(id=f"seen_mono_{number:03d}")
        for number, name in enumerate(sorted(drawn))
    )


def _all_triplets(data: DataDir, purpose: str, seed: int) -> Iterator[Triplet]:
    by_stretch: dict[str, list[Utterance]] = {}
    by_instrument: dict[str, list[Utterance]] = {}
    for one in data:
        if one.stretch is not None:
            by_stretch.setdefault(one.stretch, []).append(one)
            by_instrument.setdefault(one.speaker, []).append(one)
    for content in data:
        for target in by_stretch.get(content.stretch or "", ()):
            if target.speaker == content.speaker:
                continue
            others = {
                one.id for one in by_instrument[target.speaker] if one.stretch != target.stretch
            }
            order = shuffled(others, seed, f"{purpose}/{content.id}/{target.id}")
            for style in order[:1]:
                yield Triplet("", content.id, style, target.id, "seen", "mono")


def _note(file: Path, name: re.Match[str]) -> Utterance:
    """Describe one note."""
    instrument = word(name["instrument"])
    played = "_".join(word(name[part]) for part in ("pitch", "length", "dynamic"))
    shared = played if name["articulation"] in _USUAL else None
    note = clip(
        file,
        instrument,
        f"{played}_{word(name['articulation'])}",
        domain=instrument,
        sentence=shared,
    )
    return replace(note, stretch=shared)

"""Philharmonia Orchestra sound samples: single notes of some twenty instruments, 44.1 kHz MP3.

A folder for every instrument holds `<instrument>_<pitch>_<length>_<dynamic>_<articulation>.mp3`,
such as `cello_As2_15_forte_arco-normal.mp3` (lengths without a point: `15` is a second and a half).
The instrument is both speaker and domain. Pitches are held out, the same ones for all instruments;
notes in the usual articulation that agree in pitch, length and dynamic are each other's
counterparts (`sentence`). Percussion has no pitch and is left out.
"""

import re
from pathlib import Path

from vctool.acquisition.archive import Archive
from vctool.acquisition.clips import absent, clip, first_found, into_splits, measured
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Report, finish
from vctool.acquisition.splits import by_sentence
from vctool.acquisition.survey import word
from vctool.data.datadir import Utterance

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
    )


def _note(file: Path, name: re.Match[str]) -> Utterance:
    """Describe one note."""
    instrument = word(name["instrument"])
    played = "_".join(word(name[part]) for part in ("pitch", "length", "dynamic"))
    return clip(
        file,
        instrument,
        f"{played}_{word(name['articulation'])}",
        domain=instrument,
        sentence=played if name["articulation"] in _USUAL else None,
    )

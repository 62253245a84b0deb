"""POP909 (Wang et al. 2020): 909 Chinese pop songs arranged for piano, as MIDI.

A song is a folder with `<number>.mid`, whose parts are MELODY (what was sung), BRIDGE (a second
melody) and PIANO (the accompaniment). FluidSynth plays them, BRIDGE and PIANO together as the
accompaniment; see `vctool.corpora.midi.melodies` for who plays what.
"""

from pathlib import Path

from vctool.acquisition.archive import Archive
from vctool.acquisition.clips import absent, first_found
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Report
from vctool.corpora.midi import melodies
from vctool.corpora.midi.score import Track
from vctool.errors import DataError

_COMMIT = "d83e6edba6872a704f5d3b8b32f5cb540088dae6"

INFO = CorpusInfo(
    name="pop909",
    title="POP909",
    hours=60.0,
    hours_estimated=True,
    licence="MIT (the files); the songs are their authors'",
    homepage="https://github.com/music-x-lab/POP909-Dataset",
    rate=melodies.RATE,
    layout="POP909/<three digits>/<three digits>.mid",
    archives=(
        Archive(
            f"https://github.com/music-x-lab/POP909-Dataset/archive/{_COMMIT}.zip",
            source="the repository at this commit; GitHub states neither size nor checksum",
            name="POP909-Dataset.zip",
        ),
    ),
)

FOLDERS = ("POP909", ".")
"""Where the songs may lie, of which the first that has any is taken."""

SONGS = "[0-9][0-9][0-9]/[0-9][0-9][0-9].mid"
"""The songs in it."""


def find(downloads: Path) -> Path:
    """Return the folder that holds `POP909`, or the songs' own folders.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, (f"{folder}/{SONGS}" for folder in FOLDERS))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Render the songs, and write their data dirs.

    Raises:
        DataError: there are no songs, or FluidSynth or its sound font is not installed.
    """
    files = first_found(source, FOLDERS, SONGS)
    if not files:
        absent(source, INFO)
    named = {file.stem: file for file in files}
    return melodies.prepare(INFO, named, arrange, out, seed=seed, nj=nj)


def arrange(tracks: tuple[Track, ...]) -> tuple[Track, tuple[Track, ...]]:
    """Tell MELODY from the other parts.

    Raises:
        DataError: there is none.
    """
    melody = [track for track in tracks if track.name.strip().upper() == "MELODY"]
    if not melody:
        names = ", ".join(track.name or "one without a name" for track in tracks)
        raise DataError(f"has no part called MELODY, only {names}")
    return melody[0], tuple(track for track in tracks if track is not melody[0])

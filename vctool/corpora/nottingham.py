"""The Nottingham music database, as MIDI by Jukedeck: 1,034 British and American folk tunes.

A file holds a melody and, but for a few, its chords. FluidSynth plays them; see
`vctool.corpora.midi.melodies` for who plays what.
"""

from pathlib import Path

from vctool.acquisition.archive import Archive
from vctool.acquisition.clips import absent, first_found
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Report
from vctool.acquisition.survey import word
from vctool.corpora.midi import melodies
from vctool.corpora.midi.score import Track

_COMMIT = "0992bb6cd864f6d4b90d6663e08c0ef53ffaa08f"

INFO = CorpusInfo(
    name="nottingham",
    title="Nottingham (MIDI)",
    hours=25.0,
    hours_estimated=True,
    licence="GPL 3 (the files); the tunes are traditional",
    homepage="https://github.com/jukedeck/nottingham-dataset",
    rate=melodies.RATE,
    layout="nottingham/MIDI/{ashover,hpps,jigs,...}<number>.mid",
    archives=(
        Archive(
            f"https://github.com/jukedeck/nottingham-dataset/archive/{_COMMIT}.zip",
            source="the repository at its last commit; GitHub states neither size nor checksum",
            name="nottingham-dataset.zip",
        ),
    ),
)

FOLDERS = ("MIDI", "nottingham", ".")
"""Where the tunes may lie, of which the first that has any is taken."""


def find(downloads: Path) -> Path:
    """Return the folder that holds `MIDI`, or the tunes themselves.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, (f"{folder}/ashover*.mid" for folder in FOLDERS))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Render the tunes, and write their data dirs.

    Raises:
        DataError: there are no tunes, or FluidSynth or its sound font is not installed.
    """
    files = first_found(source, FOLDERS, "*.mid")
    if not files:
        absent(source, INFO)
    named = {word(file.stem): file for file in files}
    return melodies.prepare(INFO, named, arrange, out, seed=seed, nj=nj)


def arrange(tracks: tuple[Track, ...]) -> tuple[Track, tuple[Track, ...]]:
    """Take the first part as the melody, and the others, chords, as its accompaniment."""
    return tracks[0], tracks[1:]

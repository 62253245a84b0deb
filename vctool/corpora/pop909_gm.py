"""Pop songs of `pop909` in stretches of eight seconds, each by several General MIDI programs.

For the transfer of timbre: see `vctool.corpora.midi.stretches` for who plays what. The files are
those of `pop909`, and are fetched once for both.
"""

from dataclasses import replace
from pathlib import Path

from vctool.acquisition.clips import absent, first_found
from vctool.acquisition.report import Report
from vctool.corpora import pop909
from vctool.corpora.midi import stretches

INFO = replace(
    pop909.INFO,
    name="pop909_gm",
    title="POP909 by many instruments",
    hours=4.0,
    rate=stretches.RATE,
    shares="pop909",
)


def find(downloads: Path) -> Path:
    """Return the folder that holds the files; see `pop909.find`.

    Raises:
        DataError: there is none.
    """
    return pop909.find(downloads)


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Render stretches, and write their data dirs.

    Raises:
        DataError: there are no files, or FluidSynth or a sound font is not installed.
    """
    files = first_found(source, pop909.FOLDERS, pop909.SONGS)
    if not files:
        absent(source, INFO)
    named = {file.stem: file for file in files}
    return stretches.prepare(INFO, named, pop909.arrange, out, seed=seed, nj=nj)

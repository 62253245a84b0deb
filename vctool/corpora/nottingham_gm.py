"""Folk tunes of `nottingham` in stretches of eight seconds, each by several General MIDI programs.

For the transfer of timbre: see `vctool.corpora.midi.stretches` for who plays what. The files are
those of `nottingham`, and are fetched once for both.
"""

from dataclasses import replace
from pathlib import Path

from vctool.acquisition.clips import absent, first_found
from vctool.acquisition.report import Report
from vctool.acquisition.survey import word
from vctool.corpora import nottingham
from vctool.corpora.midi import stretches

INFO = replace(
    nottingham.INFO,
    name="nottingham_gm",
    title="Nottingham by many instruments",
    hours=4.0,
    rate=stretches.RATE,
    shares="nottingham",
)


def find(downloads: Path) -> Path:
    """Return the folder that holds the files; see `nottingham.find`.

    Raises:
        DataError: there is none.
    """
    return nottingham.find(downloads)


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Render stretches, and write their data dirs.

    Raises:
        DataError: there are no files, or FluidSynth or a sound font is not installed.
    """
    files = first_found(source, nottingham.FOLDERS, "*.mid")
    if not files:
        absent(source, INFO)
    named = {word(file.stem): file for file in files}
    return stretches.prepare(INFO, named, nottingham.arrange, out, seed=seed, nj=nj)

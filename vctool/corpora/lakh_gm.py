"""Songs of `lakh` in stretches of eight seconds, each by several General MIDI programs.

For the transfer of timbre with the published network: see `vctool.corpora.midi.stretches` for who
plays what. The files are those of `lakh`, and are fetched once for both. Of the 178,561 files
`FILES` are drawn, and the first `HEARD` seconds of each are read: 36 hours for training.

No file says which of its parts is the melody. It is taken to be the highest of those that play one
note at a time; a song that has none is left out.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from vctool.acquisition import splits
from vctool.acquisition.clips import absent
from vctool.acquisition.report import Report
from vctool.corpora import lakh
from vctool.corpora.midi import excerpts, stretches
from vctool.corpora.midi.score import Track
from vctool.errors import DataError

INFO = replace(
    lakh.INFO,
    name="lakh_gm",
    title="Lakh by many instruments",
    hours=38.0,
    rate=stretches.RATE,
    shares="lakh",
)

FILES = 4000
"""Files that are drawn."""

HEARD = 64.0
"""What is read of a file [s]."""

COUNTS = {"train": 4000, "dev": 24, "test": 64}
"""Most melodies of a split, and as many with accompaniment; of training two recordings each."""

ALONE = 0.9
"""Share of a melody's notes that begin when the one before has ended, or nearly."""

OVERLAP = 0.05
"""By so much a note may reach into the next one [s]."""


def find(downloads: Path) -> Path:
    """Return the folder that holds the files; see `lakh.find`.

    Raises:
        DataError: there is none.
    """
    return lakh.find(downloads)


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Render stretches, and write their data dirs.

    Raises:
        DataError: there are no files, or FluidSynth or a sound font is not installed.
    """
    found = lakh.files(source)
    if not found:
        absent(source, INFO)
    named = {file.stem: file for file in found if file.stat().st_size <= excerpts.LARGEST}
    drawn = sorted(splits.shuffled(named, seed, f"{INFO.name}/files")[:FILES])
    chosen = {name: named[name] for name in drawn}
    return stretches.prepare(INFO, chosen, arrange, out, seed=seed, nj=nj, counts=COUNTS)


def arrange(tracks: tuple[Track, ...]) -> tuple[Track, tuple[Track, ...]]:
    """Tell the melody from the other parts, both up to `HEARD`.

    Raises:
        DataError: no part plays one note at a time.
    """
    heard = [one.between(0.0, HEARD) for one in tracks if not one.drums]
    melodies = [one for one in heard if _alone(one) >= ALONE]
    if not melodies:
        raise DataError("has no part that plays one note at a time")
    melody = max(melodies, key=lambda one: np.mean([note.pitch for note in one.notes]))
    return melody, tuple(one for one in heard if one is not melody and one.notes)


def _alone(track: Track) -> float:
    """Return the share of notes that no other one sounds into; 0 where there are none."""
    if not track.notes:
        return 0.0
    starts, ends = (
        np.array([getattr(note, end) for note in track.notes]) for end in ("start", "end")
    )
    before = np.concatenate([[-1.0], np.maximum.accumulate(ends)[:-1]])
    return float(np.mean(starts >= before - OVERLAP))

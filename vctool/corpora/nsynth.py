"""NSynth (Engel et al. 2017): 305,979 notes of 1,006 instruments, 4 s each, 16 kHz mono WAV.

A folder for every split holds `examples.json`, the table of its notes, and the recordings,
`audio/<instrument>-<pitch>-<velocity>.wav`. The instrument, such as `flute_acoustic_002`, is the
speaker here and its family, such as `flute`, the domain. The publisher's training instruments are
in neither of the other splits, which share theirs. Where splits are missing, whole instruments are
held out instead, alternating between families.
"""

import json
from pathlib import Path
from typing import Any

from vctool.corpora import splits
from vctool.corpora.info import CorpusInfo, cannot_fetch, locate
from vctool.corpora.report import SPLITS, Rejected, Report, finish
from vctool.corpora.survey import seconds, survey
from vctool.data.datadir import Utterance
from vctool.errors import DataError

INFO = CorpusInfo(
    name="nsynth",
    title="NSynth",
    hours=340.0,
    licence="CC BY 4.0",
    homepage="https://magenta.tensorflow.org/datasets/nsynth",
    rate=16000,
    layout="nsynth/nsynth-{train,valid,test}/{examples.json,audio/<instrument>-<pitch>-*.wav}",
)

FOLDERS = {"train": "nsynth-train", "dev": "nsynth-valid", "test": "nsynth-test"}
"""The publisher's folder of every split."""


def download(root: Path) -> Path:
    """Say that NSynth must be brought along.

    Raises:
        DataError: always.
    """
    cannot_fetch(INFO)


def find(downloads: Path) -> Path:
    """Return the folder that holds `nsynth-train` or another split.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, (f"{folder}/examples.json" for folder in FOLDERS.values()))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs of the notes that the tables name.

    Raises:
        DataError: there is no table or no usable note, or too few instruments for three splits.
    """
    tables = {name: source / folder / "examples.json" for name, folder in FOLDERS.items()}
    notes = {name: _notes(table) for name, table in tables.items() if table.is_file()}
    if not notes:
        raise DataError(f"{source}: no NSynth there; expected {INFO.layout}")
    files = {
        source / FOLDERS[split] / "audio" / f"{note}.wav": (split, note)
        for split, table in notes.items()
        for note in sorted(table)
    }
    rejected = [Rejected(file, "is in examples.json but not there") for file in _absent(files)]
    missing = {one.file for one in rejected}
    usable, unusable = survey([file for file in files if file not in missing], nj=nj)
    found: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for file, measured in usable.items():
        split, note = files[file]
        entry = notes[split][note]
        found[split].append(
            Utterance(
                id=note,
                speaker=entry["instrument_str"],
                domain=entry["instrument_family_str"],
                wav=file,
                duration=seconds(measured),
            )
        )
    if set(notes) == set(FOLDERS):
        disjoint_by = "instrument between train and the others (the publisher's)"
    else:
        found, disjoint_by = _divide(found, seed), "instrument"
    return finish(INFO.name, out, found, disjoint_by=disjoint_by, rejected=[*rejected, *unusable])


def _notes(table: Path) -> dict[str, dict[str, Any]]:
    """Read the notes of a split, by name.

    Raises:
        DataError: the table cannot be read, or a note lacks its instrument.
    """
    try:
        notes = json.loads(table.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{table}: cannot be read ({error}); unpack NSynth again") from None
    for name, entry in notes.items():
        for field in ("instrument_str", "instrument_family_str"):
            if not isinstance(entry, dict) or field not in entry:
                raise DataError(f"{table}: note '{name}' has no {field}; unpack NSynth again")
        if not name.startswith(f"{entry['instrument_str']}-"):
            raise DataError(f"{table}: note '{name}' is not called after its instrument")
    assert isinstance(notes, dict), table
    return notes


def _absent(files: dict[Path, tuple[str, str]]) -> list[Path]:
    """List the files that are not there, looking into each folder once."""
    there = {path for folder in {file.parent for file in files} for path in folder.glob("*.wav")}
    return [file for file in files if file not in there]


def _divide(found: dict[str, list[Utterance]], seed: int) -> dict[str, list[Utterance]]:
    """Hold out whole instruments of what is there.

    Raises:
        DataError: there are fewer than four.
    """
    everything = [one for split in SPLITS for one in found[split]]
    families = {one.speaker: one.domain for one in everything}
    if len(families) < 4:
        raise DataError(
            f"corpus {INFO.name}: {len(families)} instruments cannot be divided into three "
            f"splits; bring all of {INFO.layout}"
        )
    chosen = splits.by_group(families, seed, INFO.name)
    return {split: [one for one in everything if chosen[one.speaker] == split] for split in SPLITS}

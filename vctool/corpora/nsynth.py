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

from vctool.acquisition import splits
from vctool.acquisition.archive import Archive, Subset
from vctool.acquisition.clips import absent, clip, into_splits, measured
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Rejected, Report, finish
from vctool.data.datadir import Utterance
from vctool.errors import DataError

_NOTE_BYTES = 128_044  # four seconds of PCM 16


def _subset(name: str, notes: int, about_bytes: int) -> Subset:
    archive = Archive(
        f"http://download.magenta.tensorflow.org/datasets/nsynth/nsynth-{name}.jsonwav.tar.gz",
        source=(
            "HEAR's task nsynth_pitch (address); size: a share, by notes, of what "
            "huggingface.co/datasets/jg583/NSynth gives for all three"
        ),
        about_bytes=about_bytes,
        unpacked_bytes=notes * _NOTE_BYTES,
    )
    return Subset(name, (archive,), hours=round(notes * 4 / 3600, 1))


INFO = CorpusInfo(
    name="nsynth",
    title="NSynth",
    hours=340.0,
    licence="CC BY 4.0",
    homepage="https://magenta.tensorflow.org/datasets/nsynth",
    rate=16000,
    layout="nsynth/nsynth-{train,valid,test}/{examples.json,audio/<instrument>-<pitch>-*.wav}",
    subsets=(
        _subset("test", 4096, 350_000_000),
        _subset("valid", 12_678, 1_050_000_000),
        _subset("train", 289_205, 23_800_000_000),
    ),
)

FOLDERS = {"train": "nsynth-train", "dev": "nsynth-valid", "test": "nsynth-test"}
"""The publisher's folder of every split."""


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
        absent(source, INFO)
    drafts, origin = [], {}
    for split, table in notes.items():
        for note, entry in sorted(table.items()):
            instrument = entry["instrument_str"]
            file = source / FOLDERS[split] / "audio" / f"{note}.wav"
            name = note.removeprefix(f"{instrument}-")
            drafts.append(clip(file, instrument, name, domain=entry["instrument_family_str"]))
            origin[note] = split
    missing = set(_missing(drafts))
    usable, rejected = measured([one for one in drafts if one.wav not in missing], INFO, nj=nj)
    rejected += [Rejected(file, "is in examples.json but not there") for file in sorted(missing)]
    if set(notes) == set(FOLDERS):
        found = into_splits(usable, lambda one: origin[one.id])
        disjoint_by = "instrument between train and the others (the publisher's)"
    else:
        found, disjoint_by = _divide(usable, seed), "instrument"
    return finish(INFO.name, out, found, disjoint_by=disjoint_by, rejected=rejected)


def _notes(table: Path) -> dict[str, dict[str, Any]]:
    """Read the notes of a split, by name.

    Raises:
        DataError: the table cannot be read, or a note lacks its instrument.
    """
    try:
        notes = json.loads(table.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{table}: cannot be read ({error}); unpack NSynth again") from None
    if not isinstance(notes, dict):
        raise DataError(f"{table}: is no table of notes; unpack NSynth again")
    for name, entry in notes.items():
        for field in ("instrument_str", "instrument_family_str"):
            if not isinstance(entry, dict) or not isinstance(entry.get(field), str):
                raise DataError(f"{table}: note '{name}' has no {field}; unpack NSynth again")
        if not name.startswith(f"{entry['instrument_str']}-"):
            raise DataError(f"{table}: note '{name}' is not called after its instrument")
        if "/" in name:  # the name becomes a path
            raise DataError(f"{table}: note '{name}' leads to another folder")
    return notes


def _missing(notes: list[Utterance]) -> list[Path]:
    """List the files that are not there, looking into each folder once."""
    folders = {one.wav.parent for one in notes}
    there = {path for folder in folders for path in folder.glob("*.wav")}
    return [one.wav for one in notes if one.wav not in there]


def _divide(notes: list[Utterance], seed: int) -> dict[str, list[Utterance]]:
    """Hold out whole instruments of what is there.

    Raises:
        DataError: there are fewer than four.
    """
    families = {one.speaker: one.domain for one in notes}
    if len(families) < 4:
        raise DataError(
            f"corpus {INFO.name}: {len(families)} instruments cannot be divided into three "
            f"splits; bring all of {INFO.layout}"
        )
    chosen = splits.by_group(families, seed, INFO.name)
    return into_splits(notes, lambda one: chosen[one.speaker])

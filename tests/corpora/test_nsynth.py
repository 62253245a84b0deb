"""NSynth's layout, made up: its folders, its table and its names."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import sine
from vctool.corpora import nsynth
from vctool.data.datadir import DataDir, check
from vctool.errors import DataError

SOURCES = ("acoustic", "electronic", "synthetic")


def entry(note: str) -> dict[str, object]:
    """What the corpus's table says of a note."""
    instrument, pitch, velocity = note.rsplit("-", 2)
    family, source, _ = instrument.rsplit("_", 2)
    return {
        "note": 1,
        "note_str": note,
        "instrument": 2,
        "instrument_str": instrument,
        "pitch": int(pitch),
        "velocity": int(velocity),
        "sample_rate": 16000,
        "qualities": [0] * 10,
        "qualities_str": [],
        "instrument_family": 3,
        "instrument_family_str": family,
        "instrument_source": SOURCES.index(source),
        "instrument_source_str": source,
    }


OUTSIDE = entry("../x/flute_acoustic_002-060-100")
"""A note whose name leads out of its folder."""


def put(folder: Path, notes: list[str]) -> None:
    (folder / "audio").mkdir(parents=True)
    for note in notes:
        pitch = 440 * 2 ** ((int(note.split("-")[1]) - 69) / 12)
        soundfile.write(folder / "audio" / f"{note}.wav", sine(4.0, pitch), 16000)
    (folder / "examples.json").write_text(json.dumps({note: entry(note) for note in notes}))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "nsynth"
    train = [f"flute_acoustic_002-{pitch:03d}-100" for pitch in (60, 67)]
    put(root / "nsynth-train", [*train, "bass_synthetic_033-022-050"])
    put(root / "nsynth-valid", ["synth_lead_synthetic_001-060-075"])
    put(root / "nsynth-test", ["synth_lead_synthetic_001-061-075"])
    return root


def test_the_publishers_splits_instruments_and_families(corpus: Path, tmp_path: Path) -> None:
    assert nsynth.find(tmp_path) == nsynth.find(corpus) == corpus
    # one note is silent, as some of the quietest are, and one did not arrive
    audio = corpus / "nsynth-train/audio"
    soundfile.write(audio / "bass_synthetic_033-022-050.wav", np.zeros(64000), 16000)
    table = corpus / "nsynth-train/examples.json"
    notes = json.loads(table.read_text())
    notes["flute_acoustic_002-070-100"] = entry("flute_acoustic_002-070-100")
    table.write_text(json.dumps(notes))
    report = nsynth.prepare(corpus, tmp_path / "data/nsynth", seed=0, nj=2)
    data = {split: DataDir.read(tmp_path / "data/nsynth" / split) for split in report.splits}
    assert data["train"].ids == ("flute_acoustic_002-060-100", "flute_acoustic_002-067-100")
    assert data["train"].speakers == ("flute_acoustic_002",)
    assert data["train"].domains == ("flute",)
    # families of two words are told from the name's other parts by the table
    assert data["dev"].domains == data["test"].domains == ("synth_lead",)
    assert data["dev"].ids != data["test"].ids
    assert {one.duration for split in data.values() for one in split} == {4.0}
    assert sorted(f"{one.file.stem}: {one.reason}" for one in report.rejected) == [
        "bass_synthetic_033-022-050: silent: its samples lie within 0 of full scale",
        "flute_acoustic_002-070-100: is in examples.json but not there",
    ]
    assert all(check(found.path) == [] for found in data.values())


def test_instruments_are_held_out_where_only_one_split_is_there(tmp_path: Path) -> None:
    names = [f"{family}_acoustic_00{k}" for family in ("flute", "guitar") for k in range(4)]
    put(tmp_path / "nsynth-test", [f"{name}-0{p}-100" for name in names for p in (60, 64)])
    report = nsynth.prepare(tmp_path, tmp_path / "out", seed=0)
    data = {split: DataDir.read(tmp_path / "out" / split) for split in report.splits}
    assert report.disjoint_by == "instrument"
    assert sum(len(found.speakers) for found in data.values()) == len(names)
    assert data["test"].domains == ("flute", "guitar")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ('{"flute_acoustic_002-060-100": {}}', "has no instrument_str"),
        (json.dumps({"x-060-100": entry("flute_acoustic_002-060-100")}), "is not called after"),
        (json.dumps({"../x/flute_acoustic_002-060-100": OUTSIDE}), "leads to another folder"),
        ('["flute_acoustic_002-060-100"]', "is no table of notes"),
        (json.dumps({"2-060-100": {"instrument_str": 2}}), "has no instrument_str"),
    ],
)
def test_a_damaged_table_is_named(corpus: Path, tmp_path: Path, text: str, message: str) -> None:
    (corpus / "nsynth-valid/examples.json").write_text(text)
    with pytest.raises(DataError, match=f"nsynth-valid/examples.json: .*{message}"):
        nsynth.prepare(corpus, tmp_path / "out", seed=0)


def test_too_few_instruments_cannot_be_divided(tmp_path: Path) -> None:
    put(tmp_path / "nsynth-test", ["flute_acoustic_002-060-100"])
    with pytest.raises(DataError, match="1 instruments cannot be divided into three splits"):
        nsynth.prepare(tmp_path, tmp_path / "out", seed=0)

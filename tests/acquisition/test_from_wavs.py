from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool.acquisition import from_wavs
from vctool.data.datadir import DataDir, check
from vctool.errors import DataError

RATE = 8000
SPLITS = ("train", "dev", "test")


def put(path: Path, seconds: float = 1.0, value: float = 0.1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(round(seconds * RATE), value, np.float32), RATE)
    return path


def read(out: Path) -> dict[str, DataDir]:
    data = {split: DataDir.read(out / split) for split in SPLITS}
    assert all(check(found.path) == [] for found in data.values())
    return data


def everything(data: dict[str, DataDir]) -> list[str]:
    return sorted(name for found in data.values() for name in found.ids)


def files(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        put(folder / name)


def test_formats_depths_and_awkward_names_are_taken(tmp_path: Path) -> None:
    names = ["Ann Lee/a.wav", "Ann Lee/2020 take/a.flac", "Ann Lee/c.ogg", "bob-x/d.mp3"]
    files(tmp_path / "in", [*names, "bob-x/e.WAV", "bob-x/f.wav", "loose.wav"])
    report = from_wavs.prepare(tmp_path / "in", tmp_path / "data" / "own", domain="singing")
    data = read(tmp_path / "data" / "own")
    assert everything(data) == [
        *("Ann_Lee-2020_take-a", "Ann_Lee-a", "Ann_Lee-c"),
        *("bob_x-d", "bob_x-e", "bob_x-f", "in-loose"),
    ]
    assert {one.domain for found in data.values() for one in found} == {"singing"}
    assert str(report).count("\n") == 0 and report.corpus == "own"
    assert set(data["test"].speakers) == {"Ann_Lee", "bob_x"}


def test_bad_files_are_named_and_the_rest_is_prepared(tmp_path: Path) -> None:
    files(tmp_path / "in/s", [f"{number}.wav" for number in range(5)])
    put(tmp_path / "in/s/silent.wav", value=0)
    (tmp_path / "in/s/broken.wav").write_text("no sound")
    from_wavs.prepare(tmp_path / "in", tmp_path / "out", domain="speech")
    assert len(everything(read(tmp_path / "out"))) == 5
    lines = (tmp_path / "out/rejected.tsv").read_text().splitlines()
    assert [line.split("\t")[0].rsplit("/")[-1] for line in lines] == [
        *("file", "broken.wav", "silent.wav")
    ]


def test_accompaniments_are_found_by_place_then_by_name(tmp_path: Path) -> None:
    files(tmp_path / "in", ["a/1.wav", "a/2.wav", "b/1.wav", "b/3.wav", "b/4.wav"])
    own, common = put(tmp_path / "acc/a/1.flac"), put(tmp_path / "acc/1.wav")
    two, four = put(tmp_path / "acc/2.wav"), put(tmp_path / "acc/b/4.wav", value=0)
    report = from_wavs.prepare(
        tmp_path / "in", tmp_path / "out", domain="singing", accomp_dir=tmp_path / "acc"
    )
    found = {one.id: one.accomp for data in read(tmp_path / "out").values() for one in data}
    assert found == {"a-1": (own,), "a-2": (two,), "b-1": (common,)}
    reasons = {one.file.name: one.reason for one in report.rejected}
    assert "no accompaniment called '3'" in reasons["3.wav"]
    assert str(four) in reasons["4.wav"] and "silent" in reasons["4.wav"]


def test_an_hour_in_one_file_is_cut_and_split_in_time(tmp_path: Path) -> None:
    path = tmp_path / "in/me/talk.wav"
    path.parent.mkdir(parents=True)
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 90 * RATE)
    noise[20 * RATE : 25 * RATE] = noise[50 * RATE : 54 * RATE] = 0
    soundfile.write(path, noise, RATE)
    accomp = put(tmp_path / "acc/talk.wav", 90.0)
    from_wavs.prepare(
        tmp_path / "in", tmp_path / "out", domain="speech", accomp_dir=tmp_path / "acc"
    )
    data = read(tmp_path / "out")
    order = sorted((one.start or 0.0, split) for split in SPLITS for one in data[split])
    names = [split for _, split in order]
    assert [name for name, _ in zip(names, [None, *names], strict=False)] == names
    blocks = [a for a, b in zip(names, ["", *names], strict=False) if a != b]
    assert blocks in (["train", "dev", "test"], ["test", "dev", "train"])
    one = data["test"].utterances[0]
    assert one.accomp == (accomp,)
    assert (
        len(one.load(RATE))
        == len(one.load_accomp(RATE))
        == pytest.approx(one.duration * RATE, abs=1)
    )


def test_whole_speakers_are_held_out_where_there_are_eight(tmp_path: Path) -> None:
    files(tmp_path / "in", [f"s{number}/{take}.wav" for number in range(8) for take in "ab"])
    report = from_wavs.prepare(tmp_path / "in", tmp_path / "out", domain="speech")
    data = read(tmp_path / "out")
    assert report.disjoint_by == "speaker"
    assert [len(data[split].speakers) for split in SPLITS] == [5, 1, 2]
    assert len({name for split in SPLITS for name in data[split].speakers}) == 8


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no audio"),
        (["s/1.wav", "s/2.wav"], "leave nothing for dev"),
        (["a b/1.wav", "a-b/1.wav", "c/1.wav"], "speakers 'a b' and 'a-b' would both be called"),
        (["s/1.wav", "s/1.flac", "s/2.wav"], "would be called 's-1' like"),
    ],
)
def test_folders_that_cannot_be_prepared_say_why(
    tmp_path: Path, names: list[str], message: str
) -> None:
    (tmp_path / "in").mkdir()
    files(tmp_path / "in", names)
    with pytest.raises(DataError, match=message):
        from_wavs.prepare(tmp_path / "in", tmp_path / "out", domain="speech")


def test_too_many_bad_files_fail_with_the_first_reason(tmp_path: Path) -> None:
    files(tmp_path / "in/s", ["1.wav", "2.wav", "3.wav"])
    for number in range(4):
        (tmp_path / f"in/s/bad{number}.wav").touch()
    with pytest.raises(DataError, match=r"4 of 7 files are unusable .*bad0.wav: empty file"):
        from_wavs.prepare(tmp_path / "in", tmp_path / "out", domain="speech")
    with pytest.raises(DataError, match="no such folder"):
        from_wavs.prepare(tmp_path / "nowhere", tmp_path / "out", domain="speech")


def test_folders_that_are_links_and_unusual_formats_are_used_and_the_rest_is_named(
    tmp_path: Path,
) -> None:
    for index, ending in enumerate(("w64", "caf", "au", "oga", "aifc", "wav")):
        path = tmp_path / "elsewhere" / f"{index}.{ending}"
        path.parent.mkdir(exist_ok=True)
        container = {"oga": "OGG", "aifc": "AIFF"}.get(ending, ending.upper())
        soundfile.write(path, 0.1 * np.sin(np.arange(16000) / 5), 16000, format=container)
    folder = tmp_path / "rec"
    folder.mkdir()
    (folder / "ann").symlink_to("../elsewhere")
    (folder / "ann.m4a").write_bytes(b"music")
    report = from_wavs.prepare(folder, tmp_path / "out", domain="speech")
    assert sum(split.files for split in report.splits.values()) == 6
    assert from_wavs.speakers(folder) == ["ann"]
    assert [(one.file.name, one.kind) for one in report.rejected] == [
        ("ann.m4a", "a format that is not read")
    ]

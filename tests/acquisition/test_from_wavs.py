import os
import shutil
import unicodedata
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool import audio
from vctool.acquisition import from_wavs, splits
from vctool.data.datadir import DataDir, check
from vctool.errors import DataError

RATE = 8000
SPLITS = ("train", "dev", "test")


def put(path: Path, seconds: float = 1.0, value: float = 0.1) -> Path:
    """Write noise of that magnitude, another in every file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(os.fsencode(path)))
    soundfile.write(path, value * rng.choice([-1.0, 1.0], round(seconds * RATE)), RATE)
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


def test_names_that_come_out_the_same_are_told_apart_for_good(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    names = ["s/take_1.wav", "s/take-1.wav", "s/take 1.flac", "s/b.wav", "s/b.flac", "a b/1.wav"]
    files(folder, [*names, "a-b/1.wav", "a_b/1.wav", "t/" + unicodedata.normalize("NFD", "é.wav")])
    files(folder, ["t/" + unicodedata.normalize("NFC", "é.wav")])
    found = {str(file.relative_to(folder)): made for file, made in ids(folder).items()}
    assert len({made for _, made in found.values()}) == len(found) == 10
    assert found["s/take_1.wav"][1] == "s-take_1"
    assert found["s/take-1.wav"][1].startswith("s-take_1.")
    assert found["a_b/1.wav"] == ("a_b", "a_b-1")
    assert found["a b/1.wav"][0] != found["a-b/1.wav"][0]
    before = found["s/take-1.wav"]
    files(folder, ["s/take=1.wav"])
    assert ids(folder)[folder / "s/take-1.wav"] == before


def ids(folder: Path) -> dict[Path, tuple[str, str]]:
    return from_wavs._names(folder, audio.list_audio(folder))


def test_copies_are_left_out_by_name_and_never_shared_by_splits(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    files(folder, [f"{who}/{take}.wav" for who in ("ann", "ben") for take in range(6)])
    for file in audio.list_audio(folder):
        for number in range(2):
            shutil.copy(file, file.with_name(f"{file.stem} copy {number}.wav"))
    report = from_wavs.prepare(folder, tmp_path / "out", domain="speech", every_speaker=True)
    assert {one.kind for one in report.rejected} == {"a copy"}
    assert len(report.rejected) == 24
    contents = [{one.wav.read_bytes() for one in data} for data in read(tmp_path / "out").values()]
    assert sum(map(len, contents)) == len(set.union(*contents)) == 12
    alone = tmp_path / "alone"
    shutil.copytree(folder / "ben", alone)
    report = from_wavs.prepare(alone, tmp_path / "out", domain="speech")
    assert len(report.rejected) == 12
    shutil.copytree(folder / "ben", folder / "carl")
    report = from_wavs.prepare(folder, tmp_path / "out", domain="speech", every_speaker=True)
    assert [split.speakers for split in report.splits.values()] == [3, 3, 3]


def split_of(out: Path) -> dict[str, str]:
    return {name: split for split, data in read(out).items() for name in data.ids}


def names_of(template: str, count: int = 15) -> list[str]:
    takes = [f"{take:02d}" for take in range(count)]
    return [template.format(who=who, take=take) for who in ("ann", "ben") for take in takes]


@pytest.mark.parametrize(
    "template",
    [
        "{who}/{take}.wav",
        "{who}/{who}_{take}.wav",
        "{who}/{take}-{who}.flac",
        "{who}/second day/{take}.wav",
    ],
)
def test_what_speakers_share_by_name_is_held_out_for_all_of_them(
    tmp_path: Path, template: str
) -> None:
    files(tmp_path / "in", names_of(template))
    report = from_wavs.prepare(
        tmp_path / "in", tmp_path / "out", domain="speech", every_speaker=True
    )
    assert report.disjoint_by == "file name (of all speakers)"
    assert report.notes == (
        "15 file names are shared by ann, ben: each counts as one sentence, which is in one split; "
        "rename the files if they hold different ones",
    )
    data = read(tmp_path / "out")
    for found in data.values():
        said = [{one.sentence for one in found if one.speaker == who} for who in ("ann", "ben")]
        assert said[0] == said[1] and None not in said[0]
    assert [len(found) for found in data.values()] == [20, 4, 6]


def test_few_shared_names_are_held_out_first_and_everybody_has_every_split(tmp_path: Path) -> None:
    names = ["ann/hello.wav", "ben/hello.wav", "ann/bye.wav", "ben/bye.flac"]
    names += [f"ann/a{take}.wav" for take in range(10)] + [f"ben/b{take}.wav" for take in range(4)]
    names += [f"carl/c{take}.wav" for take in range(5)]  # who shares nothing
    files(tmp_path / "in", names)
    alone = from_wavs.prepare(
        tmp_path / "in", tmp_path / "out", domain="speech", every_speaker=True
    )
    assert alone.disjoint_by == "file name (of all speakers) and recording"
    found = split_of(tmp_path / "out")
    assert {found["ann-hello"], found["ann-bye"]} <= {"test", "dev"}
    assert (found["ann-hello"], found["ann-bye"]) == (found["ben-hello"], found["ben-bye"])
    for who in ("ann", "ben", "carl"):
        assert {found[name] for name in found if name.startswith(who)} == set(SPLITS)
    sentences = {one.id: one.sentence for data in read(tmp_path / "out").values() for one in data}
    assert sentences["ann-hello"] == sentences["ben-hello"] == "hello"
    assert sentences["ann-a1"] is None and sentences["carl-c1"] is None


def test_names_that_nobody_shares_are_split_as_before(tmp_path: Path) -> None:
    files(tmp_path / "in", [f"{who}/{who}{take}.wav" for who in ("ann", "ben") for take in "abcde"])
    report = from_wavs.prepare(tmp_path / "in", tmp_path / "out", domain="speech")
    assert report.disjoint_by == "recording" and report.notes == ()
    blocks = splits.by_block([1.0] * 5, 0, "in/ann")
    found = split_of(tmp_path / "out")
    assert [found[f"ann-ann{take}"] for take in "abcde"] == blocks


@pytest.mark.parametrize("count", [2, 9])
def test_a_copy_of_another_speakers_recording_is_on_its_side(tmp_path: Path, count: int) -> None:
    whose = [f"s{number}" for number in range(count)]
    folder = tmp_path / "in"
    files(folder, [f"{who}/{who}{take}.wav" for who in whose for take in range(12)])
    for take in range(12):  # half of the last speaker's are the first one's, under other names
        if take % 2:
            shutil.copy(folder / f"s0/s0{take}.wav", folder / f"{whose[-1]}/copy{take}.wav")
    report = from_wavs.prepare(folder, tmp_path / "out", domain="speech")
    assert "12 recordings are copies of another speaker's, in the same split" in report.notes
    found = split_of(tmp_path / "out")
    for take in range(1, 12, 2):
        assert found[f"s0-s0{take}"] == found[f"{whose[-1]}-copy{take}"]
    assert report.disjoint_by == ("speaker" if count == 9 else "file name (of all speakers)")
    assert set(found.values()) == set(SPLITS)


def test_long_readings_of_one_text_hold_out_the_same_end_of_it(tmp_path: Path) -> None:
    whose = ("ann", "ben", "carl", "dora")
    files(tmp_path / "in", [f"{who}/{part}.wav" for who in whose for part in "ab"])
    for path in (tmp_path / "in").rglob("*.wav"):
        put(path, 40.0)  # noise without pauses is cut by length
    from_wavs.prepare(tmp_path / "in", tmp_path / "out", domain="speech", every_speaker=True)
    found = split_of(tmp_path / "out")
    ends = {who: [found[name] for name in sorted(found) if who in name] for who in whose}
    assert all(set(own) == set(SPLITS) for own in ends.values())
    assert len({(own[0], own[-1]) for own in ends.values()}) == 1


@pytest.mark.parametrize("name", [b"ann/a\tb.wav", b"ann/\xe9t\xe9.wav", b"ann/a\nb.wav"])
def test_a_name_that_no_table_can_hold_costs_only_its_own_recording(
    tmp_path: Path, name: bytes
) -> None:
    folder = tmp_path / "in"
    files(folder, [f"ann/{take}.wav" for take in range(6)])
    odd = folder / os.fsdecode(name)
    shutil.copy(folder / "ann/0.wav", odd)
    with odd.open("ab") as file:
        file.write(bytes(10))
    report = from_wavs.prepare(folder, tmp_path / "out", domain="speech")
    assert sum(split.files for split in report.splits.values()) == 6
    (left_out,) = report.rejected
    assert left_out.file == odd and left_out.reason.startswith("its name ")
    assert (tmp_path / "out" / "rejected.tsv").read_text("utf-8")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accompaniments_belong_to_names_that_look_the_same(tmp_path: Path, form: str) -> None:
    names = ("Café", "Zürich", "Übung", "más")
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    files(tmp_path / "vox", [f"ana/{unicodedata.normalize(form, name)}.wav" for name in names])
    files(tmp_path / "acc", [f"{unicodedata.normalize(other, name)}.wav" for name in names])
    report = from_wavs.prepare(
        tmp_path / "vox", tmp_path / "out", domain="singing", accomp_dir=tmp_path / "acc"
    )
    assert report.rejected == ()


@pytest.mark.parametrize("split", SPLITS)
def test_a_preparation_that_fails_leaves_the_splits_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    files(folder, [f"ann/{take}.wav" for take in range(6)])
    from_wavs.prepare(folder, out, domain="speech")
    (out / "prepared.json").write_text("{}")
    (out / "train" / "notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    files(folder, [f"ann/{take}.wav" for take in range(6, 9)])
    original = DataDir.write

    def failing(self: DataDir, *args: Path, **kwargs: Path) -> None:
        if self.path.name == split:
            raise DataError("the disk is full")
        original(self, *args, **kwargs)

    monkeypatch.setattr(DataDir, "write", failing)
    with pytest.raises(DataError, match="full"):
        from_wavs.prepare(folder, out, domain="speech")
    now = {path: path.read_bytes() for path in before}
    assert now == before
    monkeypatch.undo()
    from_wavs.prepare(folder, out, domain="speech")
    assert (out / "train" / "notes.txt").read_text() == "mine"
    assert not (out / "prepared.json").exists()  # whoever prepares writes it last
    assert sum(len(DataDir.read(out / split)) for split in SPLITS) == 9

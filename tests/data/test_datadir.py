import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vctool import audio
from vctool.data.datadir import DataDir, Utterance, check, fix
from vctool.errors import DataError

RATE = 8000


def write_tone(path: Path, seconds: float = 1.0, value: float = 0.1) -> Path:
    audio.write(path, np.full(round(seconds * RATE), value, "f4"), RATE)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data dir of three whole files, two speakers and both domains, with a pair."""
    wavs = {name: write_tone(tmp_path / "wav" / f"{name}.wav") for name in ("a-1", "a-2", "b c")}
    utterances = (
        Utterance("b-3", "b", "singing", wavs["b c"], 1.0, accomp=(wavs["a-1"], wavs["a-2"])),
        Utterance("a-2", "a", "speech", wavs["a-2"], 1.0, text="HELLO  THERE", channel=0),
        Utterance("a-1", "a", "speech", wavs["a-1"], 1.0),
    )
    knots = tmp_path / "a-1.tsv"
    knots.write_text("speech_seconds\tsung_seconds\n0.0\t0.0\n0.5\t0.7\n1.0\t1.5\n")
    path = tmp_path / "data" / "mini" / "test"
    DataDir(path, utterances, (("a-1", "b-3"),), {"a-1": knots}, {"grammar.json": "{}\n"}).write()
    return path


def rows(path: Path) -> list[str]:
    return path.read_text("utf-8").split("\n")[:-1]


ids = st.text(
    st.characters(blacklist_categories=["Z", "C"], blacklist_characters="/"), min_size=1, max_size=8
).filter(lambda name: name not in (".", ".."))
names = st.text(
    st.characters(blacklist_categories=["C"], blacklist_characters="/|"), min_size=1, max_size=12
).filter(lambda name: name == name.strip() and name not in (".", ".."))
seconds = st.floats(1e-3, 1e5)


@st.composite
def utterances(draw: st.DrawFn) -> list[Utterance]:
    found = []
    cut = draw(st.booleans())
    for number in range(draw(st.integers(1, 5))):
        speaker = draw(ids)
        start = draw(st.floats(0, 1e4)) if cut else None
        found.append(
            Utterance(
                id=f"{speaker}-{draw(ids)}{number}",
                speaker=speaker,
                domain=draw(st.sampled_from(["speech", "singing", "cello"])),
                wav=Path("/audio") / draw(names),
                duration=draw(seconds),
                start=start,
                end=None if start is None else start + draw(seconds),
                channel=draw(st.none() | st.integers(0, 7)),
                accomp=tuple(Path("/accomp") / name for name in draw(st.lists(names, max_size=3))),
                accomp_channel=draw(st.none() | st.integers(0, 7)),
                text=draw(st.none() | st.just("SOME WORDS") | st.just("one|")),
                recording=f"{speaker}-r{number}" if cut else None,
                sentence=draw(st.none() | ids),
            )
        )
    return found


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=utterances(), seed=st.integers(0, 9))
def test_what_is_written_is_read_again_in_any_order_and_stands_sorted(
    tmp_path: Path, content: list[Utterance], seed: int
) -> None:
    path = tmp_path / "data" / "corpus" / "train"
    shutil.rmtree(path, ignore_errors=True)
    DataDir(path, tuple(content)).write()
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    for file in path.iterdir():
        lines = file.read_bytes().split(b"\n")[:-1]
        keys = [line.split(b" ")[0] for line in lines]
        assert keys == sorted(keys), file.name
        random.Random(seed).shuffle(lines)
        file.write_bytes(b"\r\n".join(lines))
    found = DataDir.read(path, check=False)
    assert list(found) == sorted(content, key=lambda one: one.id)
    found.write()
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


def test_views_of_a_data_dir(folder: Path) -> None:
    data = DataDir.read(folder)
    assert data.ids == ("a-1", "a-2", "b-3")
    assert (data.speakers, data.domains, data.seconds) == (("a", "b"), ("singing", "speech"), 3.0)
    assert "a-2" in data and "x" not in data
    assert data["a-2"].text == "HELLO THERE"
    assert data.extra == {"grammar.json": "{}\n"}
    with pytest.raises(DataError, match="no utterance 'x'"):
        data["x"]
    sung = data.by_domain("singing")
    assert (sung.ids, sung.pairs, dict(sung.time_maps)) == (("b-3",), (), {})


def test_a_project_can_be_moved_and_the_working_folder_does_not_matter(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = write_tone(folder.parent.parent / "corpora" / "x y.wav")
    DataDir(folder, (Utterance("a-1", "a", "speech", inside, 1.0),)).write()
    assert rows(folder / "wav.scp") == ["a-1 ../../corpora/x y.wav"]
    moved = tmp_path / "elsewhere"
    shutil.move(folder.parent.parent, moved)
    monkeypatch.chdir(moved)
    assert DataDir.read(Path("mini/test"))["a-1"].load(RATE).shape == (RATE,)


def test_tables_that_are_no_longer_needed_go(folder: Path) -> None:
    data = DataDir.read(folder)
    replace(data, utterances=(data["a-1"],), pairs=(), time_maps={}).write()
    assert sorted(file.name for file in folder.iterdir()) == [
        *("grammar.json", "spk2utt", "utt2domain", "utt2dur", "utt2spk", "wav.scp")
    ]


def test_voice_and_accompaniment_are_cut_to_the_same_segment(tmp_path: Path) -> None:
    ramp = np.linspace(0, 0.4, 10 * RATE, dtype="f4")
    for name, wave in {"v": ramp, "x": ramp / 2, "y": ramp[:-1] / 4}.items():
        audio.write(tmp_path / f"{name}.wav", wave, RATE)
    one = Utterance(
        "s-1", "s", "singing", tmp_path / "v.wav", 3.0, start=2.0, end=5.0,
        accomp=(tmp_path / "x.wav", tmp_path / "y.wav"), recording="s-r",
    )  # fmt: skip
    DataDir(tmp_path / "d", (one,)).write()
    one = DataDir.read(tmp_path / "d")["s-1"]
    voice, accomp = one.load(RATE), one.load_accomp(RATE)
    assert voice.shape == accomp.shape == (3 * RATE,)
    assert np.abs(accomp - 0.75 * voice).max() < 1e-4
    looped = one.load_accomp(RATE, 4 * RATE)
    assert np.array_equal(looped, np.concatenate([accomp, accomp[:RATE]]))
    with pytest.raises(DataError, match="has no accompaniment"):
        replace(one, accomp=()).load_accomp(RATE)


def test_recordings_are_sorted_though_their_segments_run_the_other_way(tmp_path: Path) -> None:
    content = [
        Utterance(f"s-{k}", "s", "speech", tmp_path / f"{k}", 1.0, 0.0, 1.0, recording=f"r{9 - k}")
        for k in range(3)
    ]
    DataDir(tmp_path, tuple(content)).write()
    assert [row.split()[0] for row in rows(tmp_path / "wav.scp")] == ["r7", "r8", "r9"]
    assert list(DataDir.read(tmp_path, check=False)) == content


def test_channels_are_those_that_the_tables_name(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "x.wav", np.tile([[0.25, -0.5]], (RATE, 1)), RATE)
    path = tmp_path / "x.wav"
    one = Utterance("s-1", "s", "singing", path, 1.0, channel=1, accomp=(path,), accomp_channel=0)
    DataDir(tmp_path / "d", (one,)).write()
    one = DataDir.read(tmp_path / "d")["s-1"]
    assert one.load(RATE)[0] == -0.5
    assert one.load_accomp(RATE)[0] == 0.25


def test_time_maps_increase_or_are_refused(folder: Path, tmp_path: Path) -> None:
    data = DataDir.read(folder)
    assert data.time_map("a-1").tolist() == [[0, 0], [0.5, 0.7], [1, 1.5]]
    with pytest.raises(DataError, match="no time map of 'a-2'"):
        data.time_map("a-2")
    for bad in ["0.0\t0.0\n1.0\t0.0\n", "0.0\t1.0\nx\t2.0\n", "1\n2\n", "0\t0\nnan\t1\n", ""]:
        (tmp_path / "a-1.tsv").write_text(bad)
        with pytest.raises(DataError, match=r"not a time map|not two increasing columns"):
            data.time_map("a-1")


PIPES = ["sox x.wav -t wav - |", "|cat", "touch PWNED|"]


@pytest.mark.parametrize("table", ["wav.scp", "accomp.scp", "feats.scp", "time_map.scp"])
@pytest.mark.parametrize("value", PIPES)
def test_command_pipes_are_refused_by_every_reader_and_never_run(
    folder: Path, table: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with (folder / table).open("a") as file:
        file.write(f"c-4 {value}\n")
    with pytest.raises(DataError, match="command pipe"):
        DataDir.read(folder, check=False)
    assert any("command pipe" in str(problem) for problem in check(folder))
    fix(folder)
    assert check(folder) == []
    assert "|" not in (folder / table).read_text()
    assert not (folder / "PWNED").exists()


def test_a_pipe_among_summed_files_is_refused(folder: Path) -> None:
    (folder / "accomp.scp").write_text("b-3 /x.wav\trm -r / |\t/y.wav\n")
    with pytest.raises(DataError, match="command pipe"):
        DataDir.read(folder, check=False)


DAMAGE = {
    "duplicate": ("wav.scp", "a-1 /other.wav\n", "stands twice .first in line 1. with another"),
    "dangling": ("utt2spk", "z-9 z\n", "'z-9' belongs to no utterance"),
    "dangling text": ("text", "z-9 WORDS\n", "'z-9' belongs to no utterance"),
    "missing file": ("wav.scp", "z-9 /nowhere.wav\n", "'z-9': no such file: /nowhere.wav"),
    "no value": ("utt2dur", "z-9\n", "'z-9' has no value"),
    "unknown pair": ("pairs", "a-2 z-9\n", "no usable utterance 'z-9'"),
    "channel": ("utt2channel", "a-1 left\n", "gives channel 'left'"),
    "dangling sentence": ("utt2sentence", "z-9 7\n", "'z-9' belongs to no utterance"),
    "sentence": ("utt2sentence", "a-1 two words\n", "'a-1' has sentence 'two words'"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named_by_line_refused_and_repaired(folder: Path, damage: str) -> None:
    table, line, message = DAMAGE[damage]
    with (folder / table).open("a") as file:
        file.write(line)
    with pytest.raises(DataError, match=message) as caught:
        DataDir.read(folder)
    assert f"vctool data fix {folder}" in str(caught.value)
    before = (folder / table).read_bytes()
    assert fix(folder)
    assert check(folder) == []
    assert set(DataDir.read(folder).ids) <= {"a-1", "a-2", "b-3"}
    assert len(DataDir.read(folder)) == (2 if damage == "channel" else 3)
    assert (folder / ".backup" / table).read_bytes() == before


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "long"])
def test_impossible_durations_are_refused(folder: Path, value: str) -> None:
    text = (folder / "utt2dur").read_text().replace("a-1 1.0", f"a-1 {value}")
    (folder / "utt2dur").write_text(text)
    with pytest.raises(DataError, match=f"utt2dur gives '{value}'"):
        DataDir.read(folder)


@pytest.mark.parametrize("value", ["a-1 1 1", "a-1 -1 1", "a-1 0", "a-1 0 nan", "x 0 1"])
def test_impossible_segments_are_refused(folder: Path, value: str) -> None:
    (folder / "segments").write_text(f"a-1 {value}\n")
    found = [str(problem) for problem in check(folder) if problem.file == "segments"]
    assert len(found) == 1 and found[0].startswith("segments:1: 'a-1': ")
    assert "is not in wav.scp" in found[0] or "is not `recording start end`" in found[0]
    with pytest.raises(DataError):
        DataDir.read(folder)


def test_disorder_and_what_follows_from_other_tables_is_harmless_and_repaired(
    folder: Path,
) -> None:
    before = DataDir.read(folder)
    (folder / "wav.scp").write_text("\n".join(reversed(rows(folder / "wav.scp"))) + "\n")
    (folder / "spk2utt").write_text("a a-1\nb b-3\n")
    assert DataDir.read(folder) == before
    problems = [str(problem) for problem in check(folder)]
    assert problems == ["wav.scp: is not sorted bytewise", "spk2utt: does not agree with utt2spk"]
    assert fix(folder) == problems
    assert check(folder) == [] and fix(folder) == []
    assert DataDir.read(folder) == before


def test_fix_measures_missing_durations_and_puts_speakers_first(folder: Path) -> None:
    for table in folder.iterdir():
        text = table.read_text("utf-8").replace("a-1 ", "1 ").replace(" a-1", " 1")
        table.write_text(text.replace("1 a\n", "1 a\n"))
    (folder / "utt2dur").write_text("a-2 1.0\n")
    fix(folder)
    data = DataDir.read(folder)
    assert data.ids == ("a-1", "a-2", "b-3") and data["a-1"].duration == 1.0
    assert data.pairs == (("a-1", "b-3"),) and list(data.time_maps) == ["a-1"]


def test_fix_keeps_the_sentences_of_utterances_that_it_renames(folder: Path) -> None:
    (folder / "utt2sentence").write_text("a-2 s7\nb-3 s7\na-1 s 9\n")
    (folder / "utt2spk").write_text("a-1 a\na-2 a\nb-3 ben\n")
    assert "utt2sentence:3: 'a-1' has sentence 's 9'" in "\n".join(fix(folder))
    data = DataDir.read(folder)
    assert {one.id: one.sentence for one in data} == {"a-1": None, "a-2": "s7", "ben-b-3": "s7"}
    assert rows(folder / "utt2sentence") == ["a-2 s7", "ben-b-3 s7"]


def test_speakers_sort_as_their_utterances_do(tmp_path: Path) -> None:
    wav = write_tone(tmp_path / "x.wav")
    speakers = ("a", "a+b", "a-c", "ab", "c")
    DataDir(
        tmp_path / "d", tuple(Utterance(f"{one}-1", one, "speech", wav, 1.0) for one in speakers)
    ).write()
    (problem,) = check(tmp_path / "d")
    assert str(problem).startswith("utt2spk:2: 'a-1' follows 'a+b-1', but speaker 'a' does not")
    assert DataDir.read(tmp_path / "d").speakers == speakers  # reading copes with it
    fix(tmp_path / "d")
    assert check(tmp_path / "d") == []
    assert DataDir.read(tmp_path / "d").ids == ("a-1", "a_b-1", "a_c-1", "ab-1", "c-1")


def test_speakers_that_would_become_one_are_left_to_the_user(tmp_path: Path) -> None:
    wav = write_tone(tmp_path / "x.wav")
    speakers = ("a", "a+b", "a-b")
    DataDir(
        tmp_path / "d", tuple(Utterance(f"{one}-1", one, "speech", wav, 1.0) for one in speakers)
    ).write()
    with pytest.raises(DataError, match="speakers differ only in signs"):
        fix(tmp_path / "d")
    assert not (tmp_path / "d" / ".backup").exists()


def test_fix_leaves_a_data_dir_with_nothing_usable_as_it_was(folder: Path) -> None:
    shutil.rmtree(folder.parent.parent.parent / "wav")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(DataError, match="no usable utterance would be left"):
        fix(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_reading_nothing_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such data dir; make it with"):
        DataDir.read(tmp_path / "nowhere")
    for table in folder.iterdir():
        table.write_text("")
    with pytest.raises(DataError, match="holds no utterances"):
        DataDir.read(folder)


@pytest.mark.parametrize("bad", ["x\ny.wav", "x\t.wav", "x.wav |", "x.wav "])
def test_names_that_the_format_cannot_hold_are_refused_on_writing(tmp_path: Path, bad: str) -> None:
    one = Utterance("a-1", "a", "speech", tmp_path / bad, 1.0)
    with pytest.raises(DataError, match="cannot stand in a data dir"):
        DataDir(tmp_path / "d", (one,)).write()
    with pytest.raises(DataError, match="cannot be an id"):
        DataDir(tmp_path / "d", (replace(one, wav=tmp_path / "x", id="a 1"),)).write()
    with pytest.raises(DataError, match="'s 1' cannot be a sentence's name"):
        DataDir(tmp_path / "d", (replace(one, wav=tmp_path / "x", sentence="s 1"),)).write()


def test_two_utterances_of_one_id_are_refused(tmp_path: Path) -> None:
    one = Utterance("a-1", "a", "speech", tmp_path / "x.wav", 1.0)
    with pytest.raises(DataError, match="two utterances are called 'a-1'"):
        DataDir(tmp_path, (one, replace(one, wav=tmp_path / "y.wav")))


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    table=st.sampled_from(["wav.scp", "utt2spk", "utt2dur", "segments", "pairs", "accomp.scp"]),
    content=st.binary(max_size=80),
)
def test_no_table_content_escapes_as_another_error(
    folder: Path, table: str, content: bytes
) -> None:
    backup = (folder / table).read_bytes() if (folder / table).exists() else None
    (folder / table).write_bytes(content)
    try:
        DataDir.read(folder)
    except DataError as error:
        assert str(folder) in str(error)
    finally:
        if backup is None:
            (folder / table).unlink()
        else:
            (folder / table).write_bytes(backup)


OUTSIDE = ("../x", "a/../../x", "/x", "a//b", "..", "a/", "a\x07b")


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("table", ["wav.scp", "utt2spk", "utt2domain", "segments"])
def test_names_that_lead_out_of_a_folder_are_named_refused_and_dropped(
    folder: Path, table: str, name: str
) -> None:
    path = folder / table
    if table == "segments":
        path.write_text(f"a-1 a-1 0 1\na-2 a-2 0 1\nb-3 b-3 0 1\n{name} a-1 0 1\n")
    elif table == "wav.scp":
        path.write_text(path.read_text() + f"{name} {folder}/../../../wav/a-1.wav\n")
    else:
        path.write_text(f"a-1 {name}\n" + path.read_text().split("\n", 1)[1])
    assert any("cannot be" in str(problem) for problem in check(folder))
    with pytest.raises(DataError, match="cannot be"):
        DataDir.read(folder)
    fix(folder)
    found = DataDir.read(folder)
    assert name not in {text for one in found for text in (one.id, one.speaker, one.domain)}
    assert "b-3" in found


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_data_dir_is_made_of_such_names(tmp_path: Path, name: str) -> None:
    good = Utterance("a-1", "a", "speech", tmp_path / "a.wav", 1.0)
    for bad in (replace(good, id=name), replace(good, speaker=name), replace(good, domain=name)):
        with pytest.raises(DataError, match="cannot be an id"):
            DataDir(tmp_path, (bad,))


def test_a_byte_order_mark_belongs_to_no_id(folder: Path) -> None:
    before = DataDir.read(folder)
    for name in ("wav.scp", "utt2spk", "utt2dur", "spk2utt", "text", "pairs"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    (knots,) = before.time_maps.values()
    knots.write_bytes(b"\xef\xbb\xbf" + knots.read_bytes())
    assert check(folder) == []
    assert DataDir.read(folder) == before
    assert len(DataDir.read(folder).time_map("a-1")) == 3


def segmented(folder: Path, *rows: str) -> None:
    for name in (
        "utt2spk",
        "utt2dur",
        "spk2utt",
        "text",
        "pairs",
        "time_map.scp",
        "utt2channel",
        "utt2domain",
        "accomp.scp",
    ):
        (folder / name).unlink(missing_ok=True)
    ids = [row.split()[0] for row in rows]
    (folder / "segments").write_text("".join(f"{row}\n" for row in rows))
    (folder / "utt2spk").write_text("".join(f"{key} a\n" for key in ids))
    (folder / "spk2utt").write_text(f"a {' '.join(ids)}\n")


@pytest.mark.parametrize(
    ("row", "seconds", "stated", "repaired"),
    [
        ("a-1 a-1 0.25 1.5", 1.25, "ends at 1.5 s, its recording at 1.00 s", 0.75),
        ("a-1 a-1 0.25 0.75", 50.0, "utt2dur gives 50.0 s, its recording 0.50 s", 0.5),
        ("a-1 a-1 0.25 -1", 50.0, "utt2dur gives 50.0 s, its recording 0.75 s", 0.75),
        ("a-1 a-1 1.25 1.5", 0.25, "begins at 1.25 s, its recording ends at 1.00 s", None),
        ("a-1 a-1 0.25 -1", 0.75, "", 0.75),
        ("a-1 a-1 0.25 0.75 A", 0.5, "", 0.5),
        ("a-1 a-1 0.25 0.75 0", 0.5, "", 0.5),
    ],
)
def test_segments_and_durations_are_held_to_the_recordings(
    folder: Path, row: str, seconds: float, stated: str, repaired: float | None
) -> None:
    segmented(folder, row, "a-2 a-2 0 1")
    (folder / "utt2dur").write_text(f"a-1 {seconds}\na-2 1\n")
    serious = [str(problem) for problem in check(folder) if not problem.harmless]
    assert [stated in problem for problem in serious] == ([True] if stated else [])
    fix(folder)
    assert [problem for problem in check(folder) if not problem.harmless] == []
    found = DataDir.read(folder)
    assert ("a-1" in found) == (repaired is not None)
    if repaired is not None:
        assert found["a-1"].duration == pytest.approx(repaired, abs=1e-3)
        assert found["a-1"].load(16000).shape == (round(16000 * repaired),)
        assert found["a-1"].channel == (0 if row[-1] in "A0" and row.count(" ") == 4 else None)


def test_json_that_is_no_utf8_is_named_unless_it_is_hidden(folder: Path) -> None:
    (folder / "._grammar.json").write_bytes(b"\xff\xfe\x00")
    assert set(DataDir.read(folder).extra) == {"grammar.json"}
    (folder / "words.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"words\.json: is not UTF-8"):
        DataDir.read(folder)

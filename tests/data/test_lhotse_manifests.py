"""Manifests that lhotse itself accepts and reads the same sound from, and the way back."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from vctool.data import lhotse_manifests
from vctool.data.datadir import DataDir, Utterance, check
from vctool.errors import DataError

RATE = 8000


def put(path: Path, seconds: float, channels: int = 1, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.random.default_rng(seed).uniform(-0.3, 0.3, (round(seconds * RATE), channels))
    soundfile.write(path, wave, RATE)
    return path


@pytest.fixture
def whole(tmp_path: Path) -> DataDir:
    """Whole files: mono and stereo, with everything that a data dir can say."""
    wavs = {name: put(tmp_path / f"{name}.wav", 1.0, seed=n) for n, name in enumerate("abm")}
    wavs["s"] = put(tmp_path / "s.wav", 1.5, channels=2)
    knots = tmp_path / "map.tsv"
    knots.write_text("speech_seconds\tsung_seconds\n0.0\t0.0\n1.0\t1.5\n")
    utterances = (
        Utterance("ann-1", "ann", "speech", wavs["a"], 1.0, text="HELLO THERE", sentence="hello"),
        Utterance("ann-2", "ann", "speech", wavs["b"], 1.0, channel=0),
        Utterance(
            "bea-1", "bea", "singing", wavs["s"], 1.5, channel=1, accomp=(wavs["s"], wavs["m"]),
            accomp_channel=0, sentence="hello",
        ),
        Utterance("bea-2", "bea", "cello", wavs["s"], 1.5),
    )  # fmt: skip
    data = DataDir(
        tmp_path / "data" / "own" / "train",
        utterances,
        (("ann-1", "bea-1"),),
        {"ann-1": knots},
        {"grammar.json": '{"ä": 1}\n'},
    )
    data.write()
    return DataDir.read(data.path)


@pytest.fixture
def cut(tmp_path: Path) -> DataDir:
    """Segments of two recordings, with times that binary fractions cannot hold."""
    talk, song = put(tmp_path / "talk.wav", 10.0), put(tmp_path / "song.wav", 7.3, 2, seed=1)
    utterances = tuple(
        Utterance(
            f"ann-{name}_{round(1000 * start):05d}", "ann", "speech", file,
            round(end - start, 6), start, end, recording=f"ann-{name}", channel=channel,
        )
        for name, file, channel, start, end in (
            ("talk", talk, None, 0.1, 3.3),
            ("talk", talk, None, 3.3, 9.87),
            ("song", song, 1, 0.7, 7.3),
        )
    )  # fmt: skip
    data = DataDir(tmp_path / "data" / "talks" / "dev", utterances)
    data.write()
    return DataDir.read(data.path)


def back(data: DataDir, tmp_path: Path) -> DataDir:
    made = lhotse_manifests.export(data, tmp_path / "manifests")
    return lhotse_manifests.read(made.recordings, made.supervisions, data.path)


@pytest.mark.parametrize("kind", ["whole", "cut"])
def test_data_dirs_come_back_as_they_were(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data: DataDir = request.getfixturevalue(kind)
    again = back(data, tmp_path)
    assert again == data
    before = {file.name: file.read_bytes() for file in data.path.iterdir()}
    elsewhere = data.path.with_name("again")
    again.write(elsewhere)
    assert {file.name: file.read_bytes() for file in elsewhere.iterdir()} == before
    assert check(elsewhere) == []


@pytest.mark.parametrize("kind", ["whole", "cut"])
def test_lhotse_validates_them_and_hears_the_same(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lhotse = pytest.importorskip("lhotse", reason="pip install -r requirements-dev.txt")
    from lhotse.qa import validate_recordings_and_supervisions
    from lhotse.recipes.utils import read_manifests_if_cached

    data: DataDir = request.getfixturevalue(kind)
    lhotse_manifests.export(data, tmp_path / "manifests")
    corpus, split = data.path.parent.name, data.path.name
    found = read_manifests_if_cached([split], tmp_path / "manifests", prefix=corpus)[split]
    validate_recordings_and_supervisions(found["recordings"], found["supervisions"], read_data=True)
    cuts = lhotse.CutSet.from_manifests(**found).trim_to_supervisions()
    heard = {cut.supervisions[0].id: cut for cut in cuts}
    assert set(heard) == set(data.ids)
    for one in data:
        supervision = heard[one.id].supervisions[0]
        assert (supervision.speaker, supervision.text) == (one.speaker, one.text)
        assert supervision.custom["domain"] == one.domain
        np.testing.assert_allclose(
            heard[one.id].load_audio().mean(axis=0), one.load(RATE), atol=1e-6
        )


def test_what_lhotse_writes_is_read(tmp_path: Path) -> None:
    lhotse = pytest.importorskip("lhotse", reason="pip install -r requirements-dev.txt")
    mono, pair = put(tmp_path / "m.wav", 4.0), put(tmp_path / "p.wav", 3.0, channels=2, seed=1)
    recordings = [
        lhotse.Recording.from_file(mono, recording_id="84 m"),
        lhotse.Recording.from_file(pair, recording_id="p"),
    ]
    segment = lhotse.SupervisionSegment
    supervisions = [
        segment("84-x", "84 m", 0.5, 2.0, text="WORDS", speaker="84", gender="F"),
        segment("y", "84 m", 2.5, 1.5, speaker="Maryla Zechariah", language="Polish"),
        segment("z", "p", 0.25, 2.5, channel=1),
        segment("q", "p", 0.25, 2.5, channel=[0, 1]),
    ]
    lhotse.RecordingSet.from_recordings(recordings).to_file(tmp_path / "r.jsonl.gz")
    lhotse.SupervisionSet.from_segments(supervisions).to_file(tmp_path / "s.jsonl.gz")
    with pytest.raises(DataError, match=r"s\.jsonl\.gz:3: names no speaker; pass --speaker"):
        lhotse_manifests.read(tmp_path / "r.jsonl.gz", tmp_path / "s.jsonl.gz", tmp_path / "d")
    data = lhotse_manifests.read(
        tmp_path / "r.jsonl.gz", tmp_path / "s.jsonl.gz", tmp_path / "d", speaker="who"
    )
    data.write()
    assert check(tmp_path / "d") == []
    data = DataDir.read(tmp_path / "d")
    assert data.ids == ("84-x", "Maryla_Zechariah-y", "who-q", "who-z")
    assert data["84-x"].text == "WORDS" and data["84-x"].recording == "84_m"
    by_id = {one.id: one for one in supervisions}
    for one in data:
        theirs = by_id[one.id.split("-")[1]] if one.id != "84-x" else by_id["84-x"]
        recording = recordings[0 if one.wav.stem == "m" else 1]
        expected = recording.load_audio(
            channels=theirs.channel, offset=theirs.start, duration=theirs.duration
        )
        np.testing.assert_allclose(one.load(RATE), expected.mean(axis=0), atol=1e-6)


def changed(tmp_path: Path, data: DataDir, table: str, **fields: Any) -> tuple[Path, Path]:
    made = lhotse_manifests.export(data, tmp_path / "manifests")
    path = getattr(made, table)
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    rows[0] |= fields
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return made.recordings, made.supervisions


BAD = {
    "command": ("recordings", {"sources": [{"type": "command", "channels": [0], "source": "rm"}]}),
    "url": ("recordings", {"sources": [{"type": "url", "channels": [0], "source": "http://x"}]}),
    "transforms": ("recordings", {"transforms": [{"name": "Speed", "kwargs": {}}]}),
    "is not in": ("supervisions", {"recording_id": "nobody"}),
    "channel 3 is not": ("supervisions", {"channel": 3}),
    "channel is": ("supervisions", {"channel": "left"}),
    "start is": ("supervisions", {"start": "soon"}),
    "duration is": ("supervisions", {"duration": [1]}),
    "duration is inf": ("supervisions", {"duration": float("inf")}),
    "custom is": ("supervisions", {"custom": ["x"]}),
    "custom.accomp is": ("supervisions", {"custom": {"accomp": 3}}),
    "custom.pair is": ("supervisions", {"custom": {"pair": {}}}),
    "custom.channel is": ("supervisions", {"custom": {"channel": "1"}}),
    "text is": ("supervisions", {"text": 5}),
    "sources is": ("recordings", {"sources": "a.wav"}),
    "sources is .*None": ("recordings", {"sources": [{"type": "file", "source": None}]}),
}


@pytest.mark.parametrize("said", BAD)
def test_what_cannot_be_taken_over_is_named_by_line(
    said: str, whole: DataDir, tmp_path: Path
) -> None:
    table, fields = BAD[said]
    files = changed(tmp_path, whole, table, **fields)
    with pytest.raises(DataError, match=rf"{table}_train\.jsonl\.gz:1: .*{said}"):
        lhotse_manifests.read(*files, tmp_path / "d")


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08junk", b"{", b"[1]\n", b'{"id": 1}\n'])
def test_what_is_no_manifest_is_one_line(content: bytes, whole: DataDir, tmp_path: Path) -> None:
    made = lhotse_manifests.export(whole, tmp_path / "manifests")
    for name in ("x.jsonl.gz", "x.jsonl"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if content[:1] != b"\x1f" else content)
        with pytest.raises(DataError, match=r"x\.jsonl"):
            lhotse_manifests.read(made.recordings, path, tmp_path / "d")


def test_the_same_data_gives_the_same_bytes(cut: DataDir, tmp_path: Path) -> None:
    one = lhotse_manifests.export(cut, tmp_path / "one")
    two = lhotse_manifests.export(replace(cut, utterances=cut.utterances[::-1]), tmp_path / "two")
    assert one.recordings.read_bytes() == two.recordings.read_bytes()
    assert one.supervisions.read_bytes() == two.supervisions.read_bytes()


@pytest.mark.parametrize(
    ("field", "name"),
    [("speaker", "../x"), ("speaker", "/x"), ("id", "a/../../x"), ("id", "x/..")],
)
def test_names_that_lead_out_of_a_folder_are_refused(
    field: str, name: str, whole: DataDir, tmp_path: Path
) -> None:
    files = changed(tmp_path, whole, "supervisions", **{field: name})
    with pytest.raises(DataError, match="cannot be an id"):
        lhotse_manifests.read(*files, tmp_path / "d")


@pytest.mark.parametrize("content", [b"[1]", b"\xff\xfe", b"{", b'{"../x.json": "{}"}'])
def test_what_travels_along_is_named_where_it_is_no_json(
    content: bytes, whole: DataDir, tmp_path: Path
) -> None:
    made = lhotse_manifests.export(whole, tmp_path / "manifests")
    made.extra.write_bytes(content)
    with pytest.raises(DataError, match=r"_extra_train\.json: "):
        lhotse_manifests.read(made.recordings, made.supervisions, tmp_path / "d")


def test_a_byte_order_mark_is_no_part_of_a_manifest(whole: DataDir, tmp_path: Path) -> None:
    made = lhotse_manifests.export(whole, tmp_path / "manifests")
    before = lhotse_manifests.read(made.recordings, made.supervisions, tmp_path / "d")
    for path in (made.recordings, made.supervisions):
        marked = b"\xef\xbb\xbf" + gzip.decompress(path.read_bytes())
        path.write_bytes(gzip.compress(marked))
    assert lhotse_manifests.read(made.recordings, made.supervisions, tmp_path / "d") == before

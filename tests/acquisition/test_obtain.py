"""Bringing a corpus here: what of it, its terms, its room, its parts."""

import hashlib
import io
import logging
import multiprocessing
import re
import shutil
import tarfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vctool import corpora, locks
from vctool.acquisition import obtain as module
from vctool.acquisition.archive import Archive, Subset
from vctool.acquisition.fetch import RESERVE, Patience
from vctool.acquisition.info import CorpusInfo
from vctool.acquisition.obtain import choose, fetched, obtain
from vctool.errors import ConfigError, DataError

HURRIED = Patience(connect=2, silence=0.3, tries=2, backoff=0.01)


def packed(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return file.getvalue()


@pytest.fixture
def info(server: Any) -> CorpusInfo:
    """A corpus of a table that all need and three parts, each of one recording."""

    def offer(name: str, body: bytes, into: str = "") -> Archive:
        server.files[name] = body
        checksum = f"md5:{hashlib.md5(body).hexdigest()}"
        return Archive(server.url(name), "a test", len(body), checksum, into=into)

    parts = [
        Subset(
            name,
            (offer(f"{name}.zip", packed({f"C/{name}/1.wav": name.encode() * 1000})),),
            hours,
            default,
        )
        for name, hours, default in (("big", 10.0, True), ("small", 1.5, True), ("odd", 2.0, False))
    ]
    return CorpusInfo(
        name="talks",
        title="Talks",
        hours=13.5,
        licence="CC BY-NC 4.0",
        homepage="https://example.org/talks",
        rate=16000,
        layout="C/<part>/<number>.wav",
        archives=(offer("table.txt", b"a b c", "C"),),
        subsets=tuple(parts),
        non_commercial=True,
    )


def there(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.glob("C/**/*") if path.is_file())


def test_the_usual_parts_are_fetched_once_and_others_when_asked_for(
    server: Any, info: CorpusInfo, tmp_path: Path
) -> None:
    folder = obtain(info, tmp_path, patience=HURRIED)
    assert folder == tmp_path / "talks"
    assert there(folder) == ["C/big/1.wav", "C/small/1.wav", "C/table.txt"]
    assert fetched(folder) == ["big.zip", "small.zip", "table.txt"]
    assert not (folder / ".archives").exists(), "an unpacked archive takes no more room"
    asked = len(server.ranges)
    assert asked == 3
    obtain(info, tmp_path, patience=HURRIED)
    assert len(server.ranges) == asked
    obtain(info, tmp_path, "odd", patience=HURRIED)
    assert server.paths[asked:] == ["/odd.zip"]
    assert (folder / "C/odd/1.wav").read_bytes() == b"odd" * 1000


def test_the_licence_is_shown_before_the_first_byte_and_kept(
    server: Any, info: CorpusInfo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.script = ["404"]
    with caplog.at_level(logging.INFO), pytest.raises(DataError):
        obtain(info, tmp_path, patience=HURRIED)
    shown = [record.message for record in caplog.records]
    assert shown[0] == "Talks: CC BY-NC 4.0"
    assert any("NON-COMMERCIAL" in line for line in shown[:3])
    folder = obtain(info, tmp_path, patience=HURRIED)
    kept = (folder / "LICENCE.txt").read_text()
    assert "CC BY-NC 4.0" in kept and "NON-COMMERCIAL" in kept and info.homepage in kept
    source = (folder / "SOURCE.txt").read_text()
    for archive in (*info.archives, *info.subsets[0].archives):
        assert archive.url in source and str(archive.checksum) in source
    obtain(replace(info, non_commercial=False), tmp_path, "odd", patience=HURRIED)
    assert "NON-COMMERCIAL" not in (folder / "LICENCE.txt").read_text()


def test_an_unknown_checksum_is_recorded_as_such(
    server: Any, info: CorpusInfo, tmp_path: Path
) -> None:
    unknown = replace(info.archives[0], checksum=None, bytes=None)
    folder = obtain(replace(info, archives=(unknown,), subsets=()), tmp_path, patience=HURRIED)
    assert "checksum: unknown: none is stated" in (folder / "SOURCE.txt").read_text()


def test_parts_are_chosen_by_name_or_by_hours(info: CorpusInfo) -> None:
    def chosen(subset: str | None = None, hours: float | None = None) -> list[str]:
        return [one.file.removesuffix(".zip") for one in choose(info, subset, hours)]

    assert chosen() == ["table.txt", "big", "small"]
    assert chosen("all") == ["table.txt", "big", "small", "odd"]
    assert chosen("odd, big") == ["table.txt", "odd", "big"]
    assert chosen(hours=3.5) == ["table.txt", "small", "odd"]
    assert chosen(hours=11.5) == ["table.txt", "big", "small"]
    assert chosen("odd,big", 5) == ["table.txt", "odd"]
    with pytest.raises(ConfigError, match="talks has no such part; did you mean 'small'"):
        chosen("smal")
    with pytest.raises(ConfigError, match=r"so short; the shortest is small, 1\.5 h"):
        chosen(hours=1)
    whole = replace(info, subsets=())
    with pytest.raises(ConfigError, match="--subset big: talks comes in one piece"):
        choose(whole, "big", None)
    with pytest.raises(ConfigError, match="--limit-hours 2"):
        choose(whole, None, 2)


def test_room_is_made_sure_of_before_the_first_byte(
    server: Any, info: CorpusInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = replace(info.subsets[0].archives[0], unpacked_bytes=5_000_000)
    whole = replace(info, archives=(part,), subsets=())
    needed = RESERVE + 5_000_000 + (part.bytes or 0)
    free = [needed - 1]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": free[0]}))
    with pytest.raises(DataError, match=r"corpus talks: needs 5\.0 MB, archive and unpacked"):
        obtain(whole, tmp_path, patience=HURRIED)
    assert server.ranges == []
    free[0] = needed
    obtain(whole, tmp_path, patience=HURRIED)


def test_a_bomb_is_stopped_by_what_the_publisher_states(
    server: Any, info: CorpusInfo, tmp_path: Path
) -> None:
    small = replace(info.subsets[0].archives[0], unpacked_bytes=2800)  # it holds 3000
    with pytest.raises(DataError, match="refused, it grows past"):
        obtain(replace(info, archives=(small,), subsets=()), tmp_path, patience=HURRIED)
    near = replace(small, unpacked_bytes=2900)
    obtain(replace(info, archives=(near,), subsets=()), tmp_path, patience=HURRIED)


def test_killed_between_unpacking_and_its_record_it_is_made_complete(
    server: Any, info: CorpusInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(module, "_record", killed)
        with pytest.raises(KeyboardInterrupt):
            obtain(info, tmp_path, patience=HURRIED)
    asked = len(server.ranges)
    folder = obtain(info, tmp_path, patience=HURRIED)
    assert len(server.ranges) == asked + 2, "what had been fetched was fetched again"
    assert fetched(folder) == ["big.zip", "small.zip", "table.txt"]
    assert not (folder / ".archives").exists()


def _hold(folder: Path, held: Any) -> None:
    with locks.hold(folder / module.LOCK, str):
        held.set()
        time.sleep(60)


def test_two_processes_do_not_fetch_the_same_corpus(
    server: Any, info: CorpusInfo, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "talks", held))
    other.start()
    try:
        assert held.wait(60)
        with pytest.raises(DataError, match=rf"process {other.pid} on \S+ is fetching this corpus"):
            obtain(info, tmp_path, patience=HURRIED)
        other.kill()
        other.join()
        obtain(info, tmp_path, patience=HURRIED)  # a killed one keeps nobody out
    finally:
        other.kill()
        other.join()


def test_what_lies_behind_a_form_says_where_to_ask_and_what_to_put_where(
    info: CorpusInfo, tmp_path: Path
) -> None:
    gated = replace(info, consent="ask the makers at talks@example.org for both folders.")
    with pytest.raises(DataError) as caught:
        obtain(gated, tmp_path)
    said = str(caught.value)
    assert "ask the makers at talks@example.org for both folders; then put it into" in said
    assert str(tmp_path / "talks") in said and info.layout in said and "\n" not in said


def test_what_was_put_there_by_hand_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"figshare.*put it into .*mir1k.*--downloads DIR"):
        corpora.download("mir1k", tmp_path)
    clip = tmp_path / "mir1k" / "MIR-1K" / "Wavfile" / "amy_1_01.wav"
    clip.parent.mkdir(parents=True)
    clip.touch()
    assert corpora.download("mir1k", tmp_path) == tmp_path / "mir1k" / "MIR-1K"


LAYOUTS = {
    "librispeech": (
        {"dev-clean.tar.gz": "LibriSpeech/dev-clean/84/1/84-1-0000.flac"},
        "LibriSpeech",
    ),
    "musdb18": ({"musdb18hq.zip": "train/A - B/vocals.wav"}, "MUSDB18-HQ"),
    "ravdess": (
        {
            "Audio_Speech_Actors_01-24.zip": "Actor_01/03-01-01-01-01-01-01.wav",
            "Audio_Song_Actors_01-24.zip": "Actor_01/03-02-01-01-01-01-01.wav",
        },
        "",
    ),
    "vcc2016": (
        {
            "vcc2016_training.zip": "vcc2016_training/SF1/100001.wav",
            "evaluation_all.zip": "evaluation_all/SF1/200001.wav",
        },
        "",
    ),
}
"""A member of each archive as the publisher packs it, and the folder that is to be found."""


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_publishers_pack_is_found_where_it_is_put(
    name: str, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members, found = LAYOUTS[name]
    archives = []
    for file, member in members.items():
        server.files[file] = packed({member: b"x"})
        if file.endswith(".tar.gz"):
            whole = io.BytesIO()
            with tarfile.open(fileobj=whole, mode="w:gz") as archive:
                archive.addfile(tarfile.TarInfo(member))
            server.files[file] = whole.getvalue()
        # everything is as the corpus states it but for the bytes and where they are
        stated = next(one for one in offered(corpora.get(name).INFO) if one.file == file)
        sizes = dict.fromkeys(("bytes", "about_bytes", "unpacked_bytes", "checksum"))
        archives.append(replace(stated, url=server.url(file), mirrors=(), **sizes))
    local = replace(corpora.get(name).INFO, archives=tuple(archives), subsets=())
    monkeypatch.setattr(corpora.get(name), "INFO", local)
    assert corpora.download(name, tmp_path) == tmp_path / name / found


def offered(info: CorpusInfo) -> list[Archive]:
    parts = [one for part in info.subsets for one in part.archives]
    return list(dict.fromkeys((*info.archives, *parts)))


def test_what_is_half_unpacked_is_not_found(tmp_path: Path) -> None:
    half = tmp_path / ".unpacking-x.zip" / "Wavfile" / "amy_1_01.wav"
    half.parent.mkdir(parents=True)
    half.touch()
    with pytest.raises(DataError, match="no MIR-1K there"):
        corpora.get("mir1k").find(tmp_path)


@pytest.mark.parametrize("name", corpora.names())
def test_every_corpus_says_where_it_is_from(name: str) -> None:
    info: CorpusInfo = corpora.get(name).INFO
    archives = offered(info)
    assert archives or info.consent or hasattr(corpora.get(name), "download"), "no way to get it"
    files = [one.file for one in archives]
    assert len(set(files)) == len(files), "two files under one name"
    for one in archives:
        assert one.source
        assert all(url.startswith(("https://", "http://")) for url in (one.url, *one.mirrors))
    restricted = re.search(r"\bNC\b|non-commercial|research|academic", info.licence)
    assert info.non_commercial == bool(restricted), f"{info.licence}: is it for commercial use?"

"""Stage 1: preparing once, from what was asked for."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vctool import corpora
from vctool.acquisition.archive import Archive
from vctool.acquisition.fetch import RESERVE
from vctool.acquisition.info import CorpusInfo
from vctool.errors import ConfigError, DataError
from vctool.experiment.recipe import CorpusConfig, Recipe
from vctool.stages import download


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, workdir: Path) -> list[str]:
    """Put a corpus `talks` in the place of all corpora; return what is asked of it."""
    said: list[str] = []

    def fetch(root: Path) -> Path:
        said.append("download")
        return root / "talks"

    def find(downloads: Path) -> Path:
        said.append(f"find {downloads}")
        return downloads / "talks"

    def prepare(source: Path, out: Path, *, seed: int, nj: int) -> str:
        said.append("prepare")
        (out / "train").mkdir(parents=True)
        (out / "train" / "wav.scp").touch()
        return "2 utterances"

    module = SimpleNamespace(download=fetch, find=find, prepare=prepare)
    monkeypatch.setattr(corpora, "names", lambda: ["talks"])
    monkeypatch.setattr(corpora, "get", lambda name: module)
    return said


def test_a_corpus_is_prepared_once(calls: list[str]) -> None:
    first = download.prepare("talks")
    assert download.prepare("talks") == first
    assert first.summary == "2 utterances"
    assert calls == ["download", "prepare"]


def test_copies_are_found_and_not_fetched_and_prepared_once(calls: list[str]) -> None:
    download.prepare("talks", downloads=Path("copies"))
    download.prepare("talks", downloads=Path("copies"))
    download.prepare("talks")
    assert calls == ["find copies", "prepare", "find copies"]


def test_other_copies_are_prepared_again(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    download.prepare("talks")
    (Path("data/talks/train/wav.scp")).unlink()
    Path("data/talks/train").rmdir()
    assert download.prepare("talks", downloads=Path("copies")).source.endswith("copies/talks")
    assert calls == ["download", "prepare", "find copies", "prepare"]


def test_a_killed_preparation_is_done_again(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    download.prepare("talks")
    download.stamp_path(Path("data/talks")).unlink()
    Path("data/talks/train/wav.scp").unlink()
    Path("data/talks/train").rmdir()
    download.prepare("talks")
    assert calls.count("prepare") == 2


def test_parts_that_are_asked_for_are_added_to_what_is_there(
    monkeypatch: pytest.MonkeyPatch, workdir: Path
) -> None:
    asked: list[object] = []
    prepared: list[list[str]] = []

    def obtain(info: object, root: Path, subset: str | None, limit_hours: float | None) -> Path:
        asked.append((subset, limit_hours))
        for part in (subset or "usual").split(","):
            stamp = root / "talks" / ".complete" / f"{part}.zip.json"
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.touch()
        return root / "talks"

    def prepare(source: Path, out: Path, *, seed: int, nj: int) -> str:
        prepared.append(sorted(path.name for path in (source / ".complete").iterdir()))
        (out / "train").mkdir(parents=True, exist_ok=True)
        (out / "train" / "wav.scp").touch()
        return "2 utterances"

    info = SimpleNamespace(consent=None, folder="talks")
    module = SimpleNamespace(INFO=info, find=lambda folder: folder, prepare=prepare)
    monkeypatch.setattr(corpora, "names", lambda: ["talks"])
    monkeypatch.setattr(corpora, "get", lambda name: module)
    monkeypatch.setattr("vctool.acquisition.obtain.obtain", obtain)
    first = download.prepare("talks")
    assert (asked, first.parts) == ([(None, None)], "usual.zip")
    assert download.prepare("talks") == first
    assert download.prepare("talks", subset="usual") == first
    more = download.prepare("talks", subset="odd", limit_hours=2.0)
    assert more.parts == "odd.zip, usual.zip"
    assert asked == [(None, None), ("usual", None), ("odd", 2.0)]
    assert prepared == [["usual.zip.json"], ["odd.zip.json", "usual.zip.json"]]
    with pytest.raises(ConfigError, match="leave out --downloads"):
        download.prepare("talks", subset="odd", downloads=Path("copies"))


def test_a_corpus_that_is_built_has_no_parts(workdir: Path) -> None:
    with pytest.raises(ConfigError, match="--subset big: mini comes in one piece"):
        download.prepare("mini", subset="big")


def test_an_unknown_corpus_is_refused_with_the_nearest(calls: list[str]) -> None:
    with pytest.raises(ConfigError, match="did you mean 'talks'"):
        download.prepare("talk")


def offered(name: str, size: int = 10**9, **changes: Any) -> SimpleNamespace:
    """Make a corpus that is fetched as one archive."""
    archive = Archive(f"https://example.org/{name}.zip", "a test", size)
    info = CorpusInfo(
        name=name,
        title=name.title(),
        hours=1.0,
        licence="CC BY 4.0",
        homepage="https://example.org",
        rate=16000,
        layout="*.wav",
        archives=(archive,),
    )
    return SimpleNamespace(INFO=replace(info, **changes), find=lambda folder: folder)


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch, workdir: Path) -> dict[str, SimpleNamespace]:
    """Put these in the place of all corpora; whatever is fetched fails the test."""
    found = {"talks": offered("talks"), "songs": offered("songs")}
    monkeypatch.setattr(corpora, "names", lambda: sorted(found))
    monkeypatch.setattr(corpora, "get", lambda name: found[name])
    monkeypatch.setattr(
        "vctool.acquisition.obtain.fetch", lambda *_: pytest.fail("a byte was fetched")
    )
    return found


def free(monkeypatch: pytest.MonkeyPatch, size: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=size))


TWO = CorpusConfig(speech="talks", singing="songs")


def of(corpus: CorpusConfig) -> Recipe:
    given = {"family": "toy", "features": {}, "train": {}, "vocoder": "world"}
    return Recipe.model_validate({"name": "two", "corpus": corpus, **given})


def test_a_corpus_that_must_be_asked_for_stops_all_before_the_first_byte(
    several: dict[str, SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 1e12)
    several["songs"] = offered("songs", consent="ask the makers at songs@example.org")
    with pytest.raises(DataError, match=r"corpus songs: ask the makers at songs@example.org; then"):
        download.run(of(TWO))
    assert not Path("data/corpora").exists()


def test_a_corpus_that_nobody_offers_or_knows_stops_all_too(
    several: dict[str, SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 1e12)
    several["songs"] = offered("songs", archives=())
    with pytest.raises(DataError, match=r"corpus songs: its publisher offers no file to fetch"):
        download.run(of(TWO))
    with pytest.raises(ConfigError, match=r"corpus sogns: neither built in nor prepared"):
        download.run(of(CorpusConfig(speech="talks", singing="sogns")))
    assert not Path("data/corpora").exists()


def test_corpora_must_fit_on_the_disk_together(
    several: dict[str, SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = 2 * 1.5e9 + 1e9 + RESERVE  # both unpacked, and an archive beside them
    free(monkeypatch, needed - 1)
    with pytest.raises(DataError, match=r"corpora talks and songs: need 4\.0 GB, archive and unp"):
        download.require(TWO.names, None, fresh=False)
    free(monkeypatch, needed)
    download.require(TWO.names, None, fresh=False)
    several["songs"].INFO = several["talks"].INFO  # another corpus of the same recordings
    free(monkeypatch, needed - 1.5e9)
    download.require(TWO.names, None, fresh=False)


def test_what_is_prepared_already_is_not_asked_for_again(
    several: dict[str, SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 1e12)
    several["songs"] = offered("songs", consent="ask the makers")
    folder = Path("data/songs")
    (folder / "train").mkdir(parents=True)
    (folder / "train" / "wav.scp").touch()
    download.write_stamp(folder, Path("elsewhere"), "2 utterances")
    download.require(TWO.names, None, fresh=False)
    with pytest.raises(DataError, match="corpus songs: ask the makers"):
        download.require(TWO.names, None, fresh=True)
    Path("data/corpora/songs").mkdir(parents=True)  # and what was brought is found there
    download.require(TWO.names, None, fresh=True)


def test_copies_of_all_corpora_are_looked_for_first(
    several: dict[str, SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(downloads: Path) -> Path:
        raise DataError(f"--downloads {downloads}: no Songs there")

    several["talks"].prepare = lambda *_, **__: pytest.fail("was prepared")
    several["songs"].find = find
    with pytest.raises(DataError, match="--downloads copies: no Songs there"):
        download.run(of(TWO), downloads=Path("copies"))

"""Stage 1: preparing once, from what was asked for."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from vctool import corpora
from vctool.errors import ConfigError
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

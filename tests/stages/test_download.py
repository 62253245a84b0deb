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


def test_an_unknown_corpus_is_refused_with_the_nearest(calls: list[str]) -> None:
    with pytest.raises(ConfigError, match="did you mean 'talks'"):
        download.prepare("talk")

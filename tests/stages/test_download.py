"""Stage 1: preparing once, from what was asked for, and a user's own recordings."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from vctool import audio, corpora
from vctool import recipe as recipes
from vctool.errors import ConfigError, DataError
from vctool.stages import download

BASE = {
    "name": "base",
    "family": "vocal_cyclegan",
    "corpus": {"speech": "talks", "singing": "songs"},
    "features": {"n_mels": 40},
    "train": {"steps": 1},
    "vocoder": "griffin_lim",
}


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


def write_voice(folder: Path, speaker: str, count: int) -> None:
    rng = np.random.default_rng(0)
    for index in range(count):
        path = folder / speaker / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, (0.1 * rng.standard_normal(8000)).astype(np.float32), 16000)


@pytest.fixture
def project(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder of the test's own, with one recipe."""
    (workdir / "recipes").mkdir()
    (workdir / "recipes" / "base.yaml").write_text(yaml.safe_dump(BASE))
    for module in ("vctool.config", "vctool.recipe", "vctool.stages.download"):
        monkeypatch.setattr(f"{module}.PROJECT_ROOT", workdir)
    return workdir


def test_own_recordings_become_a_corpus_and_a_recipe(project: Path) -> None:
    for speaker in ("ann", "bob"):
        write_voice(project / "wavs", speaker, 12)
    path = download.prepare_own(Path("wavs"), name="mine", domain="speech", base="base")
    assert path == project / "recipes" / "mine.yaml"
    recipe = recipes.load("mine")
    assert recipe.name == "mine"
    assert recipe.roles == {"speech": "mine", "singing": "songs"}
    assert recipe.features.n_mels == 40
    assert Path("data/mine/train/wav.scp").exists()
    # stage 1 of the new recipe takes them as they are
    assert download.prepare("mine").source == str((project / "wavs").resolve())


@pytest.mark.parametrize("name", ["a/b", "../out", "", ".", "-x", "a b", "{corpus}"])
def test_a_name_that_is_a_path_is_refused_before_anything_is_written(
    project: Path, name: str
) -> None:
    write_voice(project / "wavs", "ann", 12)
    before = sorted(project.rglob("*"))
    with pytest.raises(ConfigError, match="must be a name of letters"):
        download.prepare_own(Path("wavs"), name=name, domain="speech", base="base")
    assert sorted(project.rglob("*")) == before


def test_taken_names_are_refused(project: Path) -> None:
    write_voice(project / "wavs", "ann", 12)
    for name, match in (("mini", "built-in"), ("base", "exists")):
        with pytest.raises((ConfigError, DataError), match=match):
            download.prepare_own(Path("wavs"), name=name, domain="speech", base="base")
    with pytest.raises(ConfigError, match="did you mean 'base'"):
        download.prepare_own(Path("wavs"), name="mine", domain="speech", base="bas")
    assert not Path("data/mine").exists()

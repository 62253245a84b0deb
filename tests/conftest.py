"""What tests of several folders share."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    # Machines that run tests are often shared, and small tensors gain nothing from threads.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real corpora; tests that want one are skipped by name where it is absent."""
    folder = Path(os.environ.get("VCTOOL_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real corpora: {folder} is not there (set VCTOOL_SHARED_DATA)")
    return folder


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that the test runs in: `data/`, `dump/` and `exp/` go there."""
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "VCTOOL_RERUN"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path


TINY = (
    *("--set", "model.singing_channels=[8, 12]", "--set", "model.speech_channels=[8, 12]"),
    *("--set", "model.clip_frames=64", "--set", "model.rocket_features=168"),
    *("--set", "train.batch_size=4"),
    *("--set", "train.steps=2", "--set", "train.save_every=1", "--set", "train.validate_every=2"),
    *("--set", "evaluate.max_utterances=4", "--set", "evaluate.bootstrap=100"),
)
"""What makes the recipe `mini` run in seconds, for tests of the machinery."""


class Project:
    """A copy of the project, in which commands are run as a user runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("vctool", "recipes", "conf", "local"):
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        for path in ROOT.glob("*"):
            if path.is_file():
                shutil.copy(path, folder)
        self.variables = os.environ | {"PYTHONPATH": str(folder)}

    def vctool(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run one command of vctool to its end."""
        return subprocess.run(
            [sys.executable, "-m", "vctool", *arguments],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def tiny_settings() -> tuple[str, ...]:
    """The settings that `trained` was made with."""
    return TINY


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which the recipe `mini` went through all stages, tiny and untaught."""
    from vctool.corpora import mini
    from vctool.stages.download import SEED, Prepared

    folder = tmp_path_factory.mktemp("project") / "main"
    folder.mkdir()
    project = Project(folder)
    sizes = mini.Sizes(train=4, dev=2, test=4)
    source = mini.download(folder / "data" / "corpora", sizes=sizes, nj=1)
    report = mini.prepare(source, folder / "data" / "mini", seed=SEED, nj=1)
    stamp = Prepared("mini", str(source), SEED, str(report))
    (folder / "data" / "mini" / "prepared.json").write_text(json.dumps(asdict(stamp)))
    for stage in ("download", "features", "train", "infer", "synthesize", "evaluate"):
        said = project.vctool(stage, *TINY)
        assert said.returncode == 0, said.stderr
    return project

"""What tests of several folders share."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from tests.warm import Warm
from vctool import durable
from vctool.openmp import wait_asleep

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    # Not the user's own, and one for each process of tests.
    kept = tempfile.TemporaryDirectory(prefix="vctool-tests-")
    config.add_cleanup(kept.cleanup)
    os.environ["VCTOOL_CACHE"] = kept.name
    # Machines that run tests are often shared, and small tensors gain nothing from threads.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    wait_asleep()  # as every command does
    os.environ.setdefault("MPLBACKEND", "Agg")
    # Nobody cuts the power here, and waiting for the disk takes as long as a tenth of the tests.
    os.fsync = lambda file: None
    durable._libc = SimpleNamespace(syncfs=lambda file: 0)
    # Where bytecode is not kept, as in many containers, each of the many processes that tests start
    # compiles torch and the rest once more, which takes longer than to import them.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


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


class Needs:
    """What a test needs of the machine: it is skipped by name without it, and fails in CI."""

    def __call__(self, program: str) -> str:
        """Return the path of a program of `local/debian.txt`."""
        return shutil.which(program) or self.lacks(f"no {program} on the path, local/debian.txt")

    def lacks(self, reason: str) -> NoReturn:
        """Skip, or fail where `CI` is set: its script installs everything."""
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; .ci/run is to install it")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def needs() -> Needs:
    """Names what is missing on this machine: `needs("fluidsynth")`."""
    return Needs()


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

    def __init__(self, folder: Path, warm: Warm) -> None:
        self.folder = folder
        self.warm = warm
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
        return self.warm.run(arguments, self.folder, self.variables)


@pytest.fixture(scope="session")
def tiny_settings() -> tuple[str, ...]:
    """The settings that `trained` was made with."""
    return TINY


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """Runs commands of vctool without importing torch for each."""
    with Warm(tmp_path_factory.mktemp("warm")) as made:
        yield made


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Project:
    """A project in which the recipe `mini` went through all stages, tiny and untaught."""
    from vctool.corpora import mini
    from vctool.stages.download import SEED, Prepared

    folder = tmp_path_factory.mktemp("project") / "main"
    folder.mkdir()
    project = Project(folder, warm)
    sizes = mini.Sizes(train=4, dev=2, test=4)
    source = mini.download(folder / "data" / "corpora", sizes=sizes, nj=1)
    report = mini.prepare(source, folder / "data" / "mini", seed=SEED, nj=1)
    stamp = Prepared("mini", str(source), SEED, str(report))
    (folder / "data" / "mini" / "prepared.json").write_text(json.dumps(asdict(stamp)))
    for stage in ("download", "features", "train", "infer", "synthesize", "evaluate"):
        alone = () if stage == "train" else ("--nj", "1")  # a process more imports torch once more
        said = project.vctool(stage, *TINY, *alone)
        assert said.returncode == 0, said.stderr
    return project


class Loopback:
    """A Dask scheduler and workers that run the code of a folder, each a process of its own."""

    def __init__(self, folder: Path, count: int = 2, code: Path = ROOT) -> None:
        self.folder = folder
        self.code = code
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[bytes]] = []
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show"]
        self.scheduler = self._start("scheduler", *options)
        self.workers = [self._worker() for _ in range(count)]

    def _start(self, name: str, *options: str) -> "subprocess.Popen[bytes]":
        environment = os.environ | {"PYTHONPATH": str(self.code), "OMP_NUM_THREADS": "1"}
        environment["PYTHONWARNINGS"] = "ignore"
        environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = "1"
        with (self.folder / f"{name}-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", name, *options],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def _worker(self) -> "subprocess.Popen[bytes]":
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        return self._start("worker", self.address, *options)

    def wait(self) -> None:
        """Wait until all workers have come."""
        from distributed import Client

        with Client(self.address, timeout=30, set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=60)

    def stop(self) -> None:
        """End what is still alive."""
        for process in reversed(self.processes):
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Loopback]]:
    """Starts a `Loopback` and waits for its workers; the arguments are the number and the code."""
    pytest.importorskip("distributed", reason="pip install -r requirements-cluster.txt")
    started: list[Loopback] = []

    def start(count: int = 2, code: Path = ROOT) -> Loopback:
        started.append(Loopback(tmp_path_factory.mktemp("cluster"), count, code))
        if count:
            started[-1].wait()
        return started[-1]

    yield start
    for one in started:
        one.stop()

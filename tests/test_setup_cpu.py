"""`local/setup.sh --cpu` with a real pip, against indexes on this machine that hold stand-ins."""

import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

BACKEND = '''\
"""Builds an editable wheel of nothing, without any package."""
import zipfile


def get_requires_for_build_editable(config_settings=None):
    return []


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "vctool-0-py3-none-any.whl"
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as wheel:
        info = "vctool-0.dist-info"
        told = "Metadata-Version: 2.1\\\\nName: vctool\\\\nVersion: 0\\\\n"
        wheel.writestr(f"{info}/METADATA", told)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\\\nTag: py3-none-any\\\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
'''.replace("\\\\n", "\\n")

PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "vctool"
version = "0"
"""


def publish(index: Path, name: str, version: str, *needs: str) -> None:
    """Put a wheel of one module, which says its version, into a simple index."""
    place = index / name
    place.mkdir(parents=True, exist_ok=True)
    wheel = place / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    lines += [f"Requires-Dist: {one}" for one in needs]
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(f"{name}/__init__.py", f"version = '{version}'\n")
        file.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    links = "".join(f'<a href="{path.name}">{path.name}</a>' for path in place.glob("*.whl"))
    (place / "index.html").write_text(links)


class Silent(SimpleHTTPRequestHandler):
    """Serves files, and says nothing of it."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def indexes(tmp_path: Path) -> Iterator[str]:
    """The address of a server with `cpu/`, as PyTorch's, and `all/`, as everybody's."""
    folder = tmp_path / "indexes"
    for name in ("torch", "torchaudio"):
        publish(folder / "cpu", name, "2.11.0+cpu")
        publish(folder / "all", name, "2.11.0", "nvidia")
    publish(folder / "all", "nvidia", "1")
    publish(folder / "all", "small", "1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of pip alone."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


class Project:
    """A copy of the scripts beside a project of three packages."""

    def __init__(self, folder: Path, address: str, environment: Path | None = None) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "local", folder / "local")
        (folder / "run.sh").touch()
        (folder / "requirements.txt").write_text(
            "torch==2.11.0              # the pair\ntorchaudio==2.11.0\nsmall==1\n"
        )
        for path in (*ROOT.glob("requirements-*.txt"), ROOT / "constraints.txt"):
            (folder / path.name).touch()
        (folder / "pyproject.toml").write_text(PROJECT)
        (folder / "backend.py").write_text(BACKEND)
        bare = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "CONDA_PREFIX")}
        self.variables = bare | {
            "PYTHON": sys.executable,
            "PYTHONPATH": "",
            "PIP_INDEX_URL": f"{address}/all",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_CACHE_DIR": "1",
            "TORCH_INDEX": f"{address}/cpu",
            "TMPDIR": str(folder / "tmp"),
        }
        (folder / "tmp").mkdir()
        self.python = folder / ".venv" / "bin" / "python"
        if environment is not None:
            shutil.copytree(environment, folder / ".venv", symlinks=True)

    def setup(self, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["local/setup.sh", *words],
            cwd=self.folder,
            env=self.variables | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def version(self, name: str) -> str:
        code = f"import {name}; print({name}.version)"
        return subprocess.run(
            [self.python, "-c", code], capture_output=True, text=True, check=False, cwd="/"
        ).stdout.strip()


def test_torch_comes_without_cuda_and_stays_so(tmp_path: Path, indexes: str, empty: Path) -> None:
    project = Project(tmp_path / "project", indexes, empty)
    done = project.setup("--cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1.4 GB" in done.stdout and "without CUDA" in done.stdout
    names = ("torch", "torchaudio", "small", "nvidia")
    assert [project.version(name) for name in names] == ["2.11.0+cpu", "2.11.0+cpu", "1", ""]
    assert list((project.folder / "tmp").iterdir()) == []
    again = project.setup("--cpu")
    assert (again.returncode, again.stdout) == (0, "")
    # changed pins are installed by run.sh's stage 0, which does not say --cpu
    publish(tmp_path / "indexes" / "all", "small", "2")
    text = (project.folder / "requirements.txt").read_text()
    (project.folder / "requirements.txt").write_text(text.replace("small==1", "small==2"))
    done = project.setup(TORCH_INDEX="http://127.0.0.1:9/none")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [project.version(name) for name in names] == ["2.11.0+cpu", "2.11.0+cpu", "2", ""]


def test_an_index_that_is_not_there_is_one_line_and_nothing_is_installed(
    tmp_path: Path, indexes: str
) -> None:
    project = Project(tmp_path / "project", indexes)
    done = project.setup("--cpu", TORCH_INDEX=f"{indexes}/none")
    assert done.returncode == 2
    told = done.stderr.splitlines()
    assert len(told) == 1 and told[0].startswith(f"stage 0 setup failed: {indexes}/none cannot be")
    assert not (project.folder / ".venv").exists() and not list((project.folder / "tmp").iterdir())


def test_an_environment_with_cuda_is_left_alone(tmp_path: Path, indexes: str, empty: Path) -> None:
    project = Project(tmp_path / "project", indexes, empty)
    environment = project.folder / ".venv"
    made = project.setup()
    assert made.returncode == 0, made.stdout + made.stderr
    assert [project.version(name) for name in ("torch", "nvidia")] == ["2.11.0", "1"]
    done = project.setup("--cpu")
    assert done.returncode == 2 and "holds CUDA's libraries already" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and environment.is_dir()
    assert project.version("torch") == "2.11.0"

"""vctool as a package: built from its own source distribution, and used in an empty folder."""

import os
import shutil
import subprocess
import sys
from email.parser import Parser
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent

EXTRAS = ("cluster", "corpora", "export", "stream")

SOURCES = ("vctool", "recipes", "conf", "tests")


def run(*words: str | Path, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def files(folder: Path, pattern: str = "*") -> set[str]:
    paths = (path for path in folder.rglob(pattern) if path.is_file())
    return {str(path.relative_to(folder)) for path in paths if path.parent.name != "__pycache__"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of vctool alone, as pip installs it from the archive that setuptools makes."""
    work = tmp_path_factory.mktemp("install")
    source = work / "source"
    source.mkdir()
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file() and path.name != ".git":
            shutil.copy(path, source)
    made = run("setup.py", "-q", "sdist", "-d", work, cwd=source)
    assert made.returncode == 0, made.stderr
    (archive,) = work.glob("*.tar.gz")
    shutil.rmtree(source)  # the archive holds all that it takes
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    asked = ("--no-deps", "--no-build-isolation", "--no-index", "--target", work / "site", archive)
    made = run(*pip, *asked, cwd=work)
    assert made.returncode == 0, made.stderr
    return work / "site"


def test_everything_is_inside_and_no_test(installed: Path) -> None:
    assert {path.name.split("-")[0] for path in installed.iterdir()} == {"vctool", "bin"}
    expected = {name for name in files(ROOT / "vctool") if not name.endswith(".pyc")}
    expected |= {f"recipes/{name}" for name in files(ROOT / "recipes", "*.yaml")}
    expected |= {f"conf/{name}" for name in files(ROOT / "conf", "*.yaml")}
    assert files(installed / "vctool") == expected
    assert "vocoders/weights/istft-16k.safetensors" in expected


def pins(*names: str) -> set[str]:
    lines = (line for name in names for line in (ROOT / name).read_text().splitlines())
    return {str(Requirement(text)) for line in lines if (text := line.split("#")[0].strip())}


def requirements(installed: Path) -> list[str]:
    (path,) = installed.glob("*.dist-info")
    return list(Distribution.at(path).requires or ())


def test_the_pins_of_the_requirements_are_its_dependencies(installed: Path) -> None:
    (path,) = installed.glob("*.dist-info")
    extras: dict[str, set[str]] = {}
    for line in requirements(installed):
        pin, _, extra = line.partition("; extra == ")
        extras.setdefault(extra.strip('"'), set()).add(str(Requirement(pin)))
    assert extras == {
        "": pins("requirements.txt"),
        **{name: pins(f"requirements-{name}.txt") for name in EXTRAS},
        "dev": pins(*(f"requirements-{name}.txt" for name in ("dev", *EXTRAS))),
    }
    told = Parser().parsestr((path / "METADATA").read_text())
    assert told["Requires-Python"] == ">=3.11" and told["License-Expression"] == "MIT"


@pytest.mark.parametrize(
    ("system", "wanted"),
    [("linux", "pyworld==0.3.5"), ("darwin", "pyworld-prebuilt==0.3.5.post2"),
     ("win32", "pyworld-prebuilt==0.3.5.post2")],
)  # fmt: skip
def test_pyworld_comes_prebuilt_where_compilers_are_rare(
    installed: Path, system: str, wanted: str
) -> None:
    """What pip would choose elsewhere; nothing has run there."""
    asked = map(Requirement, requirements(installed))
    there = {"sys_platform": system, "extra": ""}
    chosen = [one for one in asked if one.marker is None or one.marker.evaluate(there)]
    assert [f"{one.name}{one.specifier}" for one in chosen if "pyworld" in one.name] == [wanted]
    assert len(chosen) > 30  # everything else is the same there


def test_it_works_in_an_empty_folder(installed: Path, workdir: Path) -> None:
    def said(*words: str) -> str:
        done = run("-m", "vctool", *words, cwd=workdir, PYTHONPATH=str(installed))
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run("-c", "import vctool; print(vctool)", cwd=workdir, PYTHONPATH=str(installed))
    assert str(installed) in where.stdout
    assert said("show", "--recipe", "mini", "train.steps") == "120\n"
    settings = ("--set", "features=conf/features/16k.yaml")
    assert said("show", "--recipe", "mini", *settings, "features.rate") == "16000\n"
    assert "convert" in said("--help")
    assert "librispeech" in said("corpora")
    (workdir / "recipes").mkdir()
    (workdir / "recipes" / "own.yaml").write_text("base: recipes/mini.yaml\ntrain: {steps: 7}\n")
    assert said("show", "--recipe", "own", "train.steps") == "7\n"
    assert files(workdir) == {"recipes/own.yaml"}

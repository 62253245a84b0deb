"""run.sh and local/setup.sh against a stand-in for Python, so that no stage is really run."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

STUB = """#!/usr/bin/env bash
# Notes what it is asked for; fails at the stage that FAIL names.
case "$*" in
    "-m vctool show exp"*) echo exp/toy ;;
    "-m vctool"*)
        echo "$*" >>"$CALLS"
        echo "$PWD $PYTHONSAFEPATH $PYTHONPATH" >"$CALLS.where"
        if [ "$3" = "${FAIL-}" ]; then echo "rerun: $VCTOOL_RERUN" >&2; exit 2; fi ;;
    "-m pip --version") ;;
    "-m pip"*"--no-deps --requirement"*) echo "pip judges" >>"$CALLS" ;;
    "-m pip"*) echo "pip" >>"$CALLS" ;;
    *sysconfig*purelib*) echo "$STUB_SITE" ;;
    *sysconfig*) echo /usr/include ;;
    *sys.version_info*) exit "${OLD-0}" ;;
    --version) echo "Python 3.11.0" ;;
esac
"""


class Project:
    """A copy of the scripts with an environment in which Python is the stand-in."""

    def __init__(self, folder: Path, environment: str = "environment") -> None:
        self.folder = folder
        shutil.copytree(ROOT / "local", folder / "local")
        shutil.copy(ROOT / "run.sh", folder)
        for path in (*ROOT.glob("requirements*.txt"), ROOT / "constraints.txt"):
            shutil.copy(path, folder)
        self.environment = folder / environment
        python = self.environment / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(STUB)
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        site = folder / "site"
        (site / "torch").mkdir(parents=True)
        (site / "pyworld").mkdir()
        self.calls_file = folder.parent / f"{folder.name}.calls"
        self.variables = os.environ | {
            "VIRTUAL_ENV": str(self.environment),
            "CALLS": str(self.calls_file),
            "STUB_SITE": str(site),
        }

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["./run.sh", *arguments],
            cwd=self.folder,
            env=self.variables | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        """What was asked of Python since the last look, without `-m vctool`."""
        if not self.calls_file.exists():
            return []
        lines = self.calls_file.read_text().splitlines()
        self.calls_file.unlink()
        return [line.removeprefix("-m vctool ") for line in lines]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def verbs(calls: list[str]) -> list[str]:
    return [call.split()[0] for call in calls if call != "pip"]


ALL = ["download", "features", "train", "infer", "synthesize", "evaluate"]


def test_everything_runs_in_order_and_setup_only_once(project: Project) -> None:
    said = project.run()
    assert said.returncode == 0, said.stderr
    calls = project.calls
    assert calls[:2] == ["pip", "pip"]
    assert verbs(calls) == ALL
    assert calls[2] == "download --recipe mini"
    assert (project.folder / "exp/toy/log/setup.log").read_text().count("installing into") == 1
    assert project.run().returncode == 0
    assert verbs(project.calls) == ALL  # and no pip


def test_changed_pins_are_installed_again(project: Project) -> None:
    project.run("--stop-stage", "0")
    assert project.calls == ["pip", "pip"]
    with (project.folder / "constraints.txt").open("a") as file:
        file.write("extra==1\n")
    project.run("--stop-stage", "setup")
    assert project.calls == ["pip", "pip"]


def test_the_judges_of_voices_are_installed_where_they_are_asked_for(project: Project) -> None:
    def setup(*options: str) -> list[str]:
        subprocess.run(
            ["local/setup.sh", *options], cwd=project.folder, env=project.variables, check=True
        )
        return project.calls

    assert setup() == ["pip", "pip"]
    assert setup("--eval") == ["pip", "pip judges", "pip"]
    assert setup("--eval") == setup() == []
    assert setup("--dev") == ["pip", "pip judges", "pip"]  # the tests need them too
    assert setup("--eval") == setup() == setup("--dev") == []
    with (project.folder / "requirements-eval.txt").open("a") as file:
        file.write("# changed\n")
    assert setup() == []
    assert setup("--eval") == ["pip", "pip judges", "pip"]


@pytest.mark.parametrize("also", [[], ["--downloads", "."]])
def test_features_start_over_only_where_stage_2_is_the_first(
    project: Project, also: list[str]
) -> None:
    project.run("--stop-stage", "0")
    fresh = {}
    for stage in ("1", "2", "features"):
        project.run("--stage", stage, "--stop-stage", "2", "--fresh", *also)
        fresh[stage] = "features --recipe mini --fresh" in project.calls
    assert fresh == {"1": False, "2": True, "features": True}


def test_an_old_python_is_refused(project: Project) -> None:
    said = project.run(OLD="1")
    assert said.returncode == 2
    assert "Python 3.11 or newer is needed" in said.stdout
    assert "rerun: ./run.sh --recipe mini --stage 0" in said.stderr
    assert project.calls == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--stage", "3"], ALL[2:]),
        (["--stage", "train", "--stop_stage", "infer"], ["train", "infer"]),
        (["--stage=5", "--stop-stage=5"], ["synthesize"]),
        (["--stage", "2", "--downloads", "."], ALL),
        (["--stage", "3", "--downloads", "."], ALL[2:]),
        (["--stage", "export"], ["export"]),
        (["--stage", "6", "--stop-stage", "export"], ["evaluate", "export"]),
    ],
)
def test_stages_are_chosen_by_number_or_name(
    project: Project, arguments: list[str], expected: list[str]
) -> None:
    project.run("--stop-stage", "0")
    project.calls_file.unlink()
    said = project.run(*arguments)
    assert said.returncode == 0, said.stderr
    assert verbs(project.calls) == expected


def test_options_reach_the_stages_that_know_them(project: Project) -> None:
    project.run(
        *("--recipe", "x", "--nj", "4", "--device", "cpu", "--fresh", "--downloads", "."),
        *("--scheduler", "tcp://h:1"),
        *("--set", "a=1", "--set", "b=two words"),
    )
    calls = [call for call in project.calls if call != "pip"]
    common = "--recipe x --set a=1 --set b=two words"
    assert calls == [
        f"download {common} --nj 4 --scheduler tcp://h:1 --downloads .",
        f"features {common} --nj 4 --scheduler tcp://h:1",
        f"train {common} --device cpu --fresh",
        f"infer {common} --device cpu --nj 4 --scheduler tcp://h:1 --fresh",
        f"synthesize {common} --nj 4 --scheduler tcp://h:1 --fresh",
        f"evaluate {common} --nj 4 --fresh",
    ]


def test_a_failing_stage_stops_the_rest_and_says_how_to_go_on(project: Project) -> None:
    said = project.run("--recipe", "x", "--set", "b=two words", "--nj", "3", FAIL="train")
    assert said.returncode == 2
    assert verbs(project.calls) == ALL[:3]
    assert r"rerun: ./run.sh --recipe x --set b=two\ words --nj 3 --stage 3" in said.stderr
    assert said.stderr.endswith("later stages were not run\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stages", "3"], "unknown option '--stages'"),
        (["--stage"], "--stage needs a value"),
        (["--stage", "8"], "--stage 8: no such stage; there are 0 to 7: setup download"),
        (["--stop_stage", "tran"], "--stop-stage tran: no such stage"),
        (["--stage", "4", "--stop-stage", "2"], "--stage 4 comes after --stop-stage 2"),
        (["--downloads", "nowhere"], "--downloads nowhere: no such folder"),
        (["--fresh=yes"], "--fresh takes no value"),
        (["mini"], "unexpected argument 'mini'"),
    ],
)
def test_a_wrong_command_line_is_refused_by_name(
    project: Project, arguments: list[str], message: str
) -> None:
    said = project.run(*arguments)
    assert said.returncode == 2
    assert said.stderr.startswith(f"./run.sh: {message}")
    assert said.stderr.count("\n") == 1
    assert project.calls == []


def test_it_may_be_called_from_anywhere_and_through_a_link(tmp_path: Path) -> None:
    project = Project(tmp_path / "the project", environment=".venv")
    work, link = tmp_path / "my work", tmp_path / "go there"
    work.mkdir()
    link.symlink_to(project.folder / "run.sh")
    before = sorted(project.folder.rglob("*"))
    variables = project.variables | {"PYTHONPATH": "/mine", "FAIL": "infer"}
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        variables.pop(name, None)
    said = subprocess.run(
        [link, "--recipe", "x"],
        cwd=work,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 2
    assert verbs(project.calls) == ALL[:4]
    where = Path(f"{project.calls_file}.where").read_text().rstrip()
    assert where == f"{work} 1 {project.folder}:/mine"
    quoted = str(link).replace(" ", r"\ ")
    assert f"rerun: {quoted} --recipe x --stage 4\n" in said.stderr
    assert [path.relative_to(work) for path in work.rglob("*.log")] == [
        Path("exp/toy/log/setup.log")
    ]
    written = set(project.folder.rglob("*")) - set(before)
    assert {path.relative_to(project.folder).parts[0] for path in written} == {".venv"}


def test_help_prints_every_stage_without_an_environment(project: Project) -> None:
    said = project.run("--help", VIRTUAL_ENV="/nowhere")
    assert said.returncode == 0
    for number, name in enumerate(["setup", *ALL]):
        assert f"\n  {number} {name} " in said.stdout


def test_a_dry_run_changes_nothing(project: Project) -> None:
    before = sorted(project.folder.rglob("*"))
    said = project.run("--dry-run")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("stage 0 setup: not done")
    assert "stage 6 evaluate: would run after stage 0" in said.stdout
    assert sorted(project.folder.rglob("*")) == before
    project.run("--stop-stage", "0")
    project.calls_file.unlink()
    project.run("--dry_run")
    assert project.calls == [
        f"{name} --recipe mini --dry-run{' --device auto' if name in ('train', 'infer') else ''}"
        for name in ALL
    ]


def test_without_an_environment_a_later_stage_sets_up_first(project: Project) -> None:
    said = project.run("--stage", "6")
    assert "no environment yet: stage 0 comes first" in said.stdout
    assert project.calls == ["pip", "pip", "evaluate --recipe mini"]

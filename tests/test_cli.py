"""The command line: quick help, one line for a mistake, exit codes."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vctool import cli
from vctool.errors import ConfigError
from vctool.evaluation import inputs

ROOT = Path(cli.__file__).parents[1]
LIGHT = {"typer", "annotated_doc", "shellingham", "vctool"}
"""Packages that a command may import before its body runs, besides Python's own."""
DRAWING = {"rich", "pygments", "markdown_it", "mdurl"}
"""Packages that draw help on a terminal."""


def vctool(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vctool", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("terminal", [False, True])
def test_help_imports_the_commands_and_nothing_heavy(terminal: bool) -> None:
    script = (
        f"import sys; sys.stdout.isatty = lambda: {terminal}; sys.argv[1:] = ['--help']\n"
        "before = set(sys.modules); from vctool import cli\n"
        "try: cli.main()\n"
        "except SystemExit: print(*sorted(set(sys.modules) - before))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    modules = said.stdout.splitlines()[-1].split()
    # rich looks at attrs where that is installed
    packages = {module.split(".")[0] for module in modules} - {"attr"}
    assert packages - set(sys.stdlib_module_names) == (LIGHT | DRAWING if terminal else LIGHT)
    ours = [module for module in modules if module.startswith("vctool.")]
    assert {module for module in ours if not module.startswith("vctool.commands")} == {
        "vctool.cli",
        "vctool.numba_cache",
        "vctool.openmp",
        "vctool.errors",
        # what the scoring tasks take, which are options of `evaluate`
        "vctool.evaluation",
        "vctool.evaluation.inputs",
        *(f"vctool.evaluation.{name}" for name in inputs.names()),
    }


def test_help_is_quick_and_names_every_command(tmp_path: Path) -> None:
    begin = time.perf_counter()
    said = vctool("--help", cwd=tmp_path)
    # 0.1 s on a quiet machine; the bound is loose because tests run on busy ones
    assert time.perf_counter() - begin < 2.0
    for command in ("download", "features", "train", "infer", "synthesize", "evaluate", "convert"):
        assert f"\n  {command} " in said.stdout


@pytest.mark.parametrize("command", ["status", "features", "train", "show"])
def test_a_misspelt_recipe_is_one_line_and_exit_2(command: str, tmp_path: Path) -> None:
    said = vctool(command, "--recipe", "minni", cwd=tmp_path)
    assert said.returncode == 2
    assert said.stdout == ""
    assert said.stderr.count("\n") == 1
    assert said.stderr.startswith("vctool: --recipe minni: no such recipe")


def test_a_misspelt_setting_is_one_line_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "name: r\nfamily: f\ncorpus: {speech: a}\nfeatures: {}\ntrain: {}\nvocoder: v\n"
    )
    said = vctool("show", "--recipe", "r.yaml", "--set", "train.step=3", cwd=tmp_path)
    assert said.returncode == 2
    assert said.stderr == (
        "vctool: --set train.step=3: no field 'train.step'; did you mean 'steps'?\n"
    )
    said = vctool(
        "show", "train.steps", "--recipe", "r.yaml", "--set", "train.steps=3", cwd=tmp_path
    )
    assert (said.returncode, said.stdout) == (0, "3\n")


def test_options_take_dashes_and_underscores() -> None:
    runner = CliRunner()
    for option in ("--dry-run", "--dry_run"):
        result = runner.invoke(cli.app, ["features", "--recipe", "minni", option])
        assert isinstance(result.exception, ConfigError)
    assert runner.invoke(cli.app, ["features", "--dry-rum"]).exit_code == 2


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        (["features", "--dry-rum"], "--dry-run"),
        (["tarin"], "'train'"),
        (["convert"], "nothing to convert"),
        (["train", "--device", "gpu"], "'cuda'"),
        (["data", "shw"], "'show'"),
    ],
)
def test_a_mistyped_command_is_one_line_and_exit_2(
    typed: list[str],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["vctool", *typed])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    out, told = capsys.readouterr()
    assert out == "" and told.count("\n") == 1 and told.startswith("vctool: ") and named in told
    assert " --help lists what there is\n" in told


@pytest.mark.parametrize("typed", [[], ["data"], ["prepare"]])
def test_a_group_without_a_command_is_its_help(
    typed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for arguments in (typed, [*typed, "--help"]):
        monkeypatch.setattr(sys, "argv", ["vctool", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert not caught.value.code
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] and said[0].startswith("Usage:")


def test_a_stage_hands_over_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}

    def run(recipe: object, name: str, work: object, **options: object) -> bool:
        seen.update(options, recipe=recipe, name=name)
        return True

    monkeypatch.setattr("vctool.experiment.state.run", run)
    monkeypatch.setattr(
        "vctool.experiment.recipe.load", lambda name, settings: (name, list(settings))
    )
    result = CliRunner().invoke(
        cli.app, ["train", "--recipe", "x", "--set", "a=1", "--set", "b=2 3", "--fresh"]
    )
    assert result.exit_code == 0, result.output
    assert seen["recipe"] == ("x", ["a=1", "b=2 3"])
    assert seen["options"] == "--recipe x --set a=1 --set 'b=2 3'"
    assert (seen["name"], seen["force"], seen["dry_run"]) == ("train", True, False)


def test_features_start_over_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def run(recipe: object, name: str, work: Callable[[], None], **options: object) -> bool:
        seen.append(options["force"])
        work()
        return True

    monkeypatch.setattr("vctool.experiment.state.run", run)
    monkeypatch.setattr("vctool.experiment.recipe.load", lambda name, settings: name)
    monkeypatch.setattr("vctool.stages.features.run", lambda *_, fresh, **__: seen.append(fresh))
    for options in ([], ["--fresh"]):
        assert CliRunner().invoke(cli.app, ["features", *options]).exit_code == 0
    assert seen == [False, False, True, True]


def test_a_full_disk_is_one_line_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "exp/x")

    monkeypatch.setattr(cli, "app", full)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("vctool: exp/x: cannot be written (No space left on device)")
    assert told.count("\n") == 1


def test_data_check_says_in_which_folder(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "wav.scp").write_text("a-1 /nowhere/x.wav\n")
        (tmp_path / split / "utt2spk").write_text("a-1 a\n")
    said = vctool("data", "check", "train", "test", cwd=tmp_path)
    assert said.returncode == 1
    assert "train/wav.scp:1: 'a-1': no such file: /nowhere/x.wav\n" in said.stdout
    assert "test/wav.scp:1: 'a-1': no such file: /nowhere/x.wav\n" in said.stdout


def test_python_m_vctool_is_the_same_command(tmp_path: Path) -> None:
    assert vctool("--help", cwd=tmp_path).stdout.startswith("Usage:")


def test_libraries_news_of_their_caches_are_no_messages_of_ours() -> None:
    script = (
        "import logging, sys; sys.argv = ['vctool', '--help']\n"
        "from vctool import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "logging.getLogger('matplotlib.font_manager').info('generated new fontManager')\n"
        "logging.getLogger('matplotlib').warning('a warning')\n"
        "logging.getLogger('vctool.x').info('ours')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stderr == "a warning\nours\n"

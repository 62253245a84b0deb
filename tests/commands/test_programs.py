"""What commands print for other programs, and what shells are told."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import vctool
from vctool.cli import app
from vctool.commands.terminal import as_json
from vctool.config import PROJECT_ROOT


def said(*words: str) -> Any:
    done = CliRunner().invoke(app, [*words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_version_is_told_in_a_word(workdir: Path) -> None:
    assert said("--version") == f"vctool {vctool.__version__}\n"


def test_status_and_corpora_are_read_by_programs(workdir: Path) -> None:
    told = json.loads(said("status", "--recipe", "mini", "--json"))
    assert told["recipe"] == "mini" and told["experiment"] == "exp/mini"
    assert told["stages"][0].keys() == {"number", "stage", "state", "reason"}
    listed = {one["name"]: one for one in json.loads(said("corpora", "--json"))}
    assert listed["ravdess"]["non_commercial"] and not listed["mini"]["non_commercial"]
    assert json.loads(said("corpora", "vcc2016", "--json")) == listed["vcc2016"]


def test_comparisons_are_read_by_programs(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "utt\tsystem\tmeasure\tvalue\n"
    for name, off in (("one", 0.0), ("two", 1.0)):
        Path(name).mkdir()
        found = {"measures": {"mcd": {}}, "data_hash": "d", "counts": {}}
        Path(name, "results.json").write_text(json.dumps(found))
        rows = (f"u{index}\tmodel\tmcd\t{5 + off + 0.1 * index}\n" for index in range(6))
        Path(name, "utterances.tsv").write_text(head + "".join(rows))
    told = json.loads(said("compare", "one", "two", "--json"))
    assert told["a"] == "one" and told["differences"]["mcd"]["difference"] == pytest.approx(-1)
    assert told["differences"]["mcd"]["count"] == 6


def test_json_has_null_for_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    as_json({"a": [float("nan"), 1.5, (float("inf"),)], "b": Path("c")})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5, [None]], "b": "c"}


def completed(folder: Path, line: str) -> list[str]:
    """Return what a shell is offered for the last word of a line."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    environment = {"_VCTOOL_COMPLETE": "complete_bash", "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "vctool"],
        cwd=folder,
        env=os.environ | environment | words,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_shell_completes_commands_recipes_models_and_roles(workdir: Path) -> None:
    assert completed(workdir, "vctool convert --model k") == ["knn_vc"]
    assert completed(workdir, "vctool convert --to T") == ["TF2"]
    assert completed(workdir, "vctool convert --model mini --to s") == ["speech", "singing"]
    assert "mini" in completed(workdir, "vctool train --recipe mi")
    assert completed(workdir, "vctool comp") == ["compare", "completion"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_reads_asks_vctool(workdir: Path, shell: str) -> None:
    script = said("completion", shell)
    assert "_VCTOOL_COMPLETE" in script and "vctool" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)

"""Scoring tasks: found in the tree, chosen by a recipe or `--task`, asked for what they take."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import vctool.evaluation
import vctool.metrics
from vctool import audio, cli
from vctool.commands import evaluate as command
from vctool.errors import ConfigError
from vctool.evaluation import inputs, task
from vctool.evaluation.page import figures
from vctool.experiment import plan, recipe
from vctool.models.base import families, family
from vctool.stages import evaluate

RATE = 16000
FACE = '''
"""A toy: how loud outputs are beside what they should be."""

from vctool.evaluation.inputs import Input

INPUTS = (
    Input("model_answers", "What outputs should be."),
    Input("backwards", "Compare them from the end.", required=False, flag=True),
)
'''
RUN = '''
"""Scores of the toy task."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vctool.evaluation.board import Board, markdown
from vctool.evaluation.folders import read, recordings
from vctool.evaluation.parallel import workers
from vctool.evaluation.scoring import Outputs, Scoring, score
from vctool.metrics.analysis import Analysis, analyse_all
from vctool.metrics.base import Group, Row


class ToyBoard(Board):
    name = "toys"
    real_row = "answer"
    analysis = Analysis

    def __init__(self, answers):
        group = Group(answers, 16000, partial(analyse_all))
        row = Row(outputs=group, sources=group, targets=group)
        super().__init__(row, [row])


@dataclass(frozen=True, kw_only=True)
class ToyScoring(Scoring):
    answers: list
    outputs: list

    real_words = "the answer"
    count = 1

    def board(self, each):
        return ToyBoard(self.answers)

    def systems(self, each):
        yield Outputs("model", self.outputs)

    def findings(self, board, scores, plots):
        return replace(super().findings(board, scores, plots), systems={"model": "the toy"})


def run(recipe, nj=1):
    (recipe.exp / "toy.txt").write_text(recipe.name)


def run_folder(converted, out, nj=1, *, model_answers, backwards=False):
    made = read(list(recordings(converted, "outputs", [out]).values()))
    true = read(list(recordings(model_answers, "answers", [out]).values()))
    job = ToyScoring(
        folder=out, name="toy", utterances=["a", "b"], config_hash="c", data_hash="d",
        resamples=100, answers=true, outputs=made[::-1] if backwards else made,
    )
    with workers(nj) as each:
        return markdown(score(job, each).findings.scores)
'''
METRIC = '''
"""The level of outputs over that of their targets; a toy."""

import numpy as np

from vctool.metrics.base import Measure, Stand
from vctool.metrics.bootstrap import ratio

TITLE = "toy level"
MEASURES = {"toy_level": Measure("toy level", "dB", "higher", "over the answer's", exact=0.0)}
BOARDS = {"toys": Stand(1)}
NEEDS = ("targets",)
SETTINGS = "mean square"


def measure(row):
    power = [[np.mean(np.square(wave)) for wave in group.waves]
             for group in (row.outputs, row.targets)]
    level = 10 * np.log10(np.array(power[0]) / np.array(power[1]))
    return {"toy_level": ratio(level, np.ones(len(level)))}
'''


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The task `toys` and a metric of its board, in folders that the packages know as their own."""
    for package, files in (
        (vctool.evaluation, {"toys/__init__.py": FACE, "toys/run.py": RUN}),
        (vctool.metrics, {"toy_level.py": METRIC}),
    ):
        place = tmp_path / package.__name__
        for name, text in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(place)])
    yield
    for name in ("evaluation.toys", "evaluation.toys.run", "metrics.toy_level"):
        sys.modules.pop(f"vctool.{name}", None)
    vars(vctool.evaluation).pop("toys", None)
    vars(vctool.metrics).pop("toy_level", None)


def invoke(app: typer.Typer, *arguments: str) -> str:
    said = CliRunner().invoke(app, list(arguments))
    if said.exception is not None and not isinstance(said.exception, SystemExit):
        raise said.exception
    return said.stdout


def test_a_task_is_a_folder(
    toys: None,
    tmp_path: Path,
    say: Callable[..., np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(figures, "SHOWN", 1)
    assert inputs.names() == ["doubles", "singing", "timbre", "toys", "vocoders", "voices"]
    app = typer.Typer()
    app.add_typer(command.command())
    app.callback()(lambda: None)  # so that `evaluate` is named, as it is among all commands
    said = invoke(app, "evaluate", "--help")
    assert "--model-answers" in said and "What outputs should be. (toys)" in said
    for number, gain in enumerate((1.0, 0.1)):
        wave = say(0, "low", 0.3)
        audio.write(tmp_path / "answers" / f"{number}.wav", wave, RATE)
        audio.write(tmp_path / "made" / f"{number}.wav", (gain * wave).astype(np.float32), RATE)
    asked = ["evaluate", str(tmp_path / "made"), "--task", "toys", "--nj", "1"]
    table = invoke(app, *asked, "--model-answers", str(tmp_path / "answers"), "--backwards")
    assert table.splitlines()[0] == "| system | toy level |"
    out = tmp_path / "made" / "evaluation"
    result = json.loads((out / "results.json").read_text())
    assert result["measures"]["toy_level"]["model"]["value"] == pytest.approx(-10.0, abs=0.05)
    assert result["settings"]["toy level"] == "mean square"
    assert "level, over" not in table and (out / "report.html").is_file()
    lines = (out / "utterances.tsv").read_text().splitlines()
    quiet = next(line for line in lines if line.startswith("a\tmodel\ttoy_level"))
    assert float(quiet.split("\t")[3]) == pytest.approx(-20.0, abs=0.1)  # the last came first
    with pytest.raises(ConfigError, match="--model-answers: not given; vctool evaluate FOLDER"):
        invoke(app, *asked)


def test_a_recipe_names_its_task_or_takes_its_familys(toys: None, workdir: Path) -> None:
    chosen = recipe.load("vcc2016_cyclegan_vc", ["evaluate.task=toys"])
    chosen.exp.mkdir(parents=True)
    evaluate.run(chosen)
    assert (chosen.exp / "toy.txt").read_text() == chosen.name
    with pytest.raises(ConfigError, match=r"evaluate\.task: no task 'toy'; did you mean 'toys'"):
        evaluate.run(recipe.load("mini", ["evaluate.task=toy"]))


def test_every_shipped_recipe_is_scored_as_its_family_is() -> None:
    tasks = {name: plan.task(recipe.load(name)) for name in recipe.recipes()}
    assert tasks["mini"] == "singing" and tasks["vcc2016_vae_gan"] == "voices"
    assert tasks["vcc2016_istft"] == tasks["vcc2016_hifigan"] == "vocoders"
    assert set(tasks.values()) <= set(inputs.names())
    assert {family(name).task for name in families()} <= set(inputs.names())
    for name, one in tasks.items():
        written = recipe.load(name)
        silent = recipe.load(name, ["evaluate.task=null"])
        assert written.evaluate.task == one and silent.evaluate.task is None, name
        assert plan.task(silent) == one, name
        # so an experiment that was scored before recipes named their tasks stays scored
        said, before = (plan.stage("evaluate").inputs(each) for each in (written, silent))
        assert said == before and "evaluate.task" not in said, name
    other = recipe.load("mini", ["evaluate.task=voices"])
    assert plan.stage("evaluate").inputs(other)["evaluate.task"] == "voices"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["m", "--task", "vocoders", "--reference", "x", "--unpaired", "--source", "y"],
            "--source: not taken by the task 'vocoders', which takes --reference",
        ),
        (
            ["m", "--task", "singing", "--reference", "x"],
            "--source: not given; vctool evaluate FOLDER --task singing --reference DIR --source",
        ),
        (
            ["m", "--reference", "x", "--source", "y", "--accomp", "z"],
            "--accomp: not taken by the task 'voices', which takes --reference, --source",
        ),
        (["m", "--task", "singin"], "--task: no task 'singin'; did you mean 'singing'?"),
        (["--task", "singing"], "FOLDER and --reference and --source: not given"),
        (["--task", "singing", "--recipe", "mini"], "a folder: --recipe, --set"),
    ],
)
def test_what_a_task_does_not_take_or_lacks_is_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        invoke(cli.app, "evaluate", *arguments)
    assert str(caught.value).startswith(message)


def test_a_task_of_experiments_alone_says_so(
    toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    run = importlib.import_module("vctool.evaluation.toys.run")
    monkeypatch.delattr(run, "run_folder")
    with pytest.raises(ConfigError, match="--task toys: scores experiments, not folders"):
        task.score_folder(tmp_path, "toys", {})

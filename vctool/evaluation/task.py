"""The scoring tasks, found in the tree.

A folder `vctool/evaluation/NAME/` that holds a `run.py` makes NAME a task. Its `__init__.py` says
what `vctool evaluate FOLDER --task NAME` takes; its `run.py` scores:

    INPUTS = (Input("reference", "Recordings of the target"), ...)                in __init__.py

    def run(recipe: Recipe, nj: int) -> None: ...                                 in run.py
    def run_folder(converted: Path, out: Path, nj: int, **inputs) -> str: ...

`run` is stage 6: it scores what stages 4 and 5 of a recipe wrote. `run_folder` scores recordings
that any system made and returns the table; it gets every input by its name, an optional one that is
not given as None, a switch as a bool. Both end in `vctool.evaluation.scoring.score`. A task may
leave `run_folder` out, with `INPUTS`: then it scores experiments alone.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vctool.config import suggest
from vctool.errors import ConfigError
from vctool.evaluation.inputs import Input, inputs_of, names
from vctool.experiment.recipe import Recipe

DEFAULT = "voices"
"""Default task for a folder of recordings."""
FOLDER = "evaluation"
"""Default output folder, below the recordings."""


class RunRecipe(Protocol):
    """Scores the outputs of a recipe's stages 4 and 5."""

    def __call__(self, recipe: Recipe, nj: int = 1) -> None:
        """Score an experiment on `nj` processes, on which the scores do not depend."""


class RunFolder(Protocol):
    """Scores recordings that any system made."""

    def __call__(self, converted: Path, out: Path, nj: int = 1, **inputs: Any) -> str:
        """Score the recordings in `converted`, write the report into `out`; return the table."""


@dataclass(frozen=True)
class Task:
    """One way to score."""

    name: str
    inputs: tuple[Input, ...]
    run: RunRecipe
    run_folder: RunFolder | None


def get(name: str, where: str) -> Task:
    """Import a task.

    Args:
        name: its folder.
        where: what named it, for errors.

    Raises:
        ConfigError: there is no such task; the nearest one is suggested.
    """
    if name not in names():
        raise ConfigError(f"{where}: no task '{name}'{suggest(name, names())}")
    module = importlib.import_module(f"vctool.evaluation.{name}.run")
    return Task(name, inputs_of(name), module.run, getattr(module, "run_folder", None))


def score_folder(
    converted: Path | None,
    task: str | None,
    given: Mapping[str, Path | bool | None],
    out: Path | None = None,
    nj: int = 1,
) -> str:
    """Score recordings that any system made: RESULTS.md, results.json, utterances.tsv, report.html.

    Args:
        converted: the recordings.
        task: how they are scored; `DEFAULT` where None.
        given: inputs by name; None and False are as good as absent.
        out: folder that gets the results; `converted/evaluation` where None.
        nj: processes; the scores do not depend on it.

    Returns:
        The table, with what must be known of it.

    Raises:
        ConfigError: no such task, or one that scores experiments alone; an input that it does not
            take, or one that is missing.
        DataError, AudioError: recordings that cannot be scored.
    """
    chosen = get(task or DEFAULT, "--task")
    given = {name: value for name, value in given.items() if value not in (None, False)}
    known = {one.name: one for one in chosen.inputs}
    if chosen.run_folder is None:
        raise ConfigError(f"--task {chosen.name}: scores experiments, not folders of recordings")
    for name in given:
        if name not in known:
            options = ", ".join(one.option for one in chosen.inputs)
            raise ConfigError(
                f"{Input(name, '').option}: not taken by the task '{chosen.name}', which takes "
                f"{options}"
            )
    lacking = [] if converted is not None else ["FOLDER"]
    lacking += [one.option for one in chosen.inputs if one.required and one.name not in given]
    if converted is None or lacking:
        needed = " ".join(f"{one.option} DIR" for one in chosen.inputs if one.required)
        asked = f"--task {chosen.name} " if task is not None else ""
        raise ConfigError(
            f"{' and '.join(lacking)}: not given; vctool evaluate FOLDER {asked}{needed} scores "
            "recordings, vctool evaluate --recipe NAME an experiment"
        )
    values = {name: given.get(name, False if one.flag else None) for name, one in known.items()}
    return chosen.run_folder(converted, out or converted / FOLDER, nj, **values)

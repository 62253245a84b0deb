"""List the scoring tasks and their inputs besides the recordings to score.

Imports nothing heavy, for the command line.
"""

import importlib
from pathlib import Path
from typing import NamedTuple

import vctool.evaluation


class Input(NamedTuple):
    """One option of `vctool evaluate FOLDER`; a task's `__init__.py` lists them in `INPUTS`."""

    name: str
    """A word or two with underscores; `--word` on the command line."""
    help: str
    required: bool = True
    flag: bool = False
    """Whether it is a flag; otherwise it is a folder."""

    @property
    def option(self) -> str:
        """Its option on the command line."""
        return f"--{self.name.replace('_', '-')}"


def names() -> list[str]:
    """Name the tasks: the folders beside this file that hold a `run.py`."""
    places = (Path(place) for place in vctool.evaluation.__path__)
    return sorted({path.parent.name for place in places for path in place.glob("*/run.py")})


def inputs() -> dict[str, tuple[Input, ...]]:
    """Return the inputs of every task for a folder of recordings; see `vctool.evaluation.task`."""
    return {name: inputs_of(name) for name in names()}


def inputs_of(name: str) -> tuple[Input, ...]:
    """Return the inputs of one task; none if it scores experiments only."""
    face = importlib.import_module(f"vctool.evaluation.{name}")
    return tuple(getattr(face, "INPUTS", ()))

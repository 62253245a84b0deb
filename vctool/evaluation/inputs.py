"""Which scoring tasks there are, and what they take besides the recordings that they score.

Found without heavy imports, for the command line.
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
    """Whether it is a switch; else it is a folder."""

    @property
    def option(self) -> str:
        """What it is called on the command line."""
        return f"--{self.name.replace('_', '-')}"


def names() -> list[str]:
    """Name the tasks: the folders beside this file that hold a `run.py`."""
    places = (Path(place) for place in vctool.evaluation.__path__)
    return sorted({path.parent.name for place in places for path in place.glob("*/run.py")})


def inputs() -> dict[str, tuple[Input, ...]]:
    """Return what every task takes for a folder of recordings; see `vctool.evaluation.task`."""
    return {name: inputs_of(name) for name in names()}


def inputs_of(name: str) -> tuple[Input, ...]:
    """Return what one task takes; nothing where it scores experiments alone."""
    face = importlib.import_module(f"vctool.evaluation.{name}")
    return tuple(getattr(face, "INPUTS", ()))

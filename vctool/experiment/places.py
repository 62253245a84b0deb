"""Where models lie: `./exp`, the folders in `$VCTOOL_MODELS`, and what comes with vctool.

A model is an experiment (a folder with `checkpoints/`) or a pack (`NAME.vctool`). It is named by
its path or, wherever it lies, by its name: that of the folder, or of the pack without its ending.
"""

import os
from pathlib import Path
from typing import NamedTuple

from vctool import models
from vctool.config import PACKAGE, suggest
from vctool.errors import CheckpointError
from vctool.packs import SUFFIX

EXPERIMENTS = Path("exp")
"""Folder of the experiments of the folder that a command runs in."""
VARIABLE = "VCTOOL_MODELS"
"""Environment variable that names further folders of models, with a colon between them."""
SHIPPED = PACKAGE / "demo"
"""Folder of the models that come with vctool."""


class Found(NamedTuple):
    """A model where it lies."""

    name: str
    path: Path
    """The experiment's folder, or the pack."""
    place: str
    """`experiments`, `VCTOOL_MODELS` or `vctool`."""


def folders(root: Path = EXPERIMENTS) -> list[tuple[Path, str]]:
    """Return the folders in which models are looked for, and what each is called, in their order.

    Args:
        root: folder of the experiments.
    """
    named = [one for one in os.environ.get(VARIABLE, "").split(os.pathsep) if one]
    own = [(root, "experiments"), *((Path(one), VARIABLE) for one in named)]
    return [*own, (SHIPPED, "vctool")]


def found(root: Path = EXPERIMENTS) -> list[Found]:
    """Find all models, in the order of their folders and then by name; nothing of them is read.

    Args:
        root: folder of the experiments.
    """
    listed: list[Found] = []
    seen: set[Path] = set()
    for folder, place in folders(root):
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        packs = [(path.stem, path) for path in folder.glob(f"*{SUFFIX}") if not path.is_dir()]
        trained = [(path.parent.name, path.parent) for path in folder.glob("*/checkpoints")]
        listed += [Found(name, path, place) for name, path in sorted([*packs, *trained])]
    return listed


def vocoders(root: Path = EXPERIMENTS) -> list[Found]:
    """Find what may be a trained vocoder: experiments, and files in safetensors.

    The files are those in the current folder and in the folders of models; nothing of what is
    found is read, so that many may be other models.

    Args:
        root: folder of the experiments.
    """
    own = [(folder, place) for folder, place in folders(root) if folder != SHIPPED]
    listed = [one for one in found(root) if one.place != "vctool" and one.path.is_dir()]
    seen: set[Path] = set()
    for folder, place in [(Path(), "here"), *own]:
        if folder.resolve() not in seen:
            seen.add(folder.resolve())
            listed += [Found(one.name, one, place) for one in sorted(folder.glob("*.safetensors"))]
    return listed


def locate(named: Path | str, root: Path = EXPERIMENTS) -> Path:
    """Return the path of a model that is named by its path or by its name.

    A file or folder of that path wins, then the folders in their order. What cannot be found is
    returned as it is if it is a path, or the name of a family; who reads it will say what is wrong.

    Raises:
        CheckpointError: a bare name that no model has; the nearest is suggested.
    """
    path, text = Path(named), str(named)
    if path.exists() or path.name != text or text in models.names():
        return path
    known = found(root)
    for one in known:
        if text in (one.name, one.path.name):
            return one.path
    if path.suffix == SUFFIX:
        return path
    ready = [name for name in models.names() if models.declared(name).untrained]
    hint = suggest(text, {*(one.name for one in known), *ready})
    raise CheckpointError(
        f"{text}: no such model here, in {root}/ or in ${VARIABLE}{hint}; vctool models lists them"
    )

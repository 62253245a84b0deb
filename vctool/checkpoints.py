"""Read checkpoints; `vctool.engine` writes and documents them.

The layout is `exp/<name>/checkpoints/step-00012000/{model.safetensors,state.json}`, and a manifest
beside the folders.
"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vctool.errors import CheckpointError

if TYPE_CHECKING:  # `vctool status` reads manifests, and loads no torch
    from torch import Tensor

FORMAT = 1
"""Version of the layout; a checkpoint of a later one is refused."""

GONE = ("start",)
"""Fields of the context that checkpoints once held and nothing reads any more."""

MODEL = "model.safetensors"
"""The file of weights and buffers."""
STATE = "state.json"
"""The file that makes a folder a checkpoint; it is written last."""
MANIFEST = "manifest.json"
STEP_NAME = re.compile(r"step-(\d{8,})")

State = dict[str, Any]
"""What `state.json` holds: format, family, config, context, step, recipe, train, score, ..."""


def find(path: Path) -> Path:
    """Return the checkpoint folder that a path stands for; the latest if there are several.

    Raises:
        CheckpointError: no such path, or no complete checkpoint below it.
    """
    path = Path(path)
    if not path.exists():
        here = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise CheckpointError(
            f"{path}: no such experiment or checkpoint{here}; train one with ./run.sh"
        )
    if not path.is_dir():
        raise CheckpointError(f"{path}: is a file; name an experiment or a checkpoint folder")
    if (path / STATE).exists() or STEP_NAME.fullmatch(path.name):
        return path
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    found = latest(folder)
    if found is None:
        raise CheckpointError(f"{path}: holds no checkpoint; train with ./run.sh --stage 3")
    return found


def latest(checkpoints: Path) -> Path | None:
    """Return the newest complete checkpoint, or None if there is none.

    It is the one that the manifest points to or, if that folder was deleted by hand, the one with
    the highest step.
    """
    pointed = read_manifest(checkpoints).get("latest")
    if pointed is not None and (checkpoints / pointed / STATE).is_file():
        return checkpoints / pointed
    steps = step_folders(checkpoints)
    return steps[max(steps)] if steps else None


def step_folders(checkpoints: Path) -> dict[int, Path]:
    """Return the checkpoint folders in order of their steps."""
    named = ((STEP_NAME.fullmatch(path.name), path) for path in checkpoints.glob("step-*"))
    return {int(match[1]): path for match, path in named if match and (path / STATE).is_file()}


def read_manifest(checkpoints: Path) -> dict[str, Any]:
    """Read the manifest; an empty mapping if there is none.

    Raises:
        CheckpointError: it exists but is not JSON.
    """
    path = checkpoints / MANIFEST
    if not path.is_file():
        return {}
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error}); delete it, it is rebuilt") from None
    return manifest


def read_state(folder: Path) -> State:
    """Read and check `state.json`.

    Raises:
        CheckpointError: missing, not JSON, lacking fields, of a later layout, or beside files
            whose sizes are not those written.
    """
    path = folder / STATE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder}: half written (no {STATE}); delete it, the one before is used"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not readable ({error}); delete this checkpoint, the one before is used"
        ) from None
    needed = {"format", "family", "config", "context", "step", "recipe", "train", "files"}
    if not isinstance(state, dict) or not needed <= state.keys():
        lacking = ", ".join(sorted(needed - set(state))) if isinstance(state, dict) else "a mapping"
        raise CheckpointError(f"{path}: lacks {lacking}; it was not written by vctool")
    if state["format"] > FORMAT:
        raise CheckpointError(
            f"{path}: format {state['format']}, this version reads up to {FORMAT}; update vctool"
        )
    for name in GONE if isinstance(state["context"], dict) else ():
        state["context"].pop(name, None)
    for name, size in state["files"].items():
        actual = (folder / name).stat().st_size if (folder / name).is_file() else None
        if actual != size:
            raise CheckpointError(
                f"{folder / name}: {actual or 0} bytes of {size}, half written or half copied; "
                "delete this checkpoint or copy it again"
            )
    return state


def read_tensors(path: Path) -> "dict[str, Tensor]":
    """Read one safetensors file onto the CPU.

    Raises:
        CheckpointError: the file is missing or is not complete.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not readable ({error}); delete this checkpoint") from None

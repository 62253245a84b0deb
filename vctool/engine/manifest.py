"""The folder of checkpoints: which are there, which is latest, which best, which may go."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vctool.errors import CheckpointError

STATE = "state.json"
"""The file that makes a folder a checkpoint; it is written last."""
MANIFEST = "manifest.json"
STEP_NAME = re.compile(r"step-(\d{8,})")


def find(path: Path) -> Path:
    """Return the checkpoint folder that a path means, the latest where there are several.

    Raises:
        CheckpointError: no such path, or no complete checkpoint below it.
    """
    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"{path}: no such experiment or checkpoint; train one with ./run.sh")
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
    """Return the newest complete checkpoint, or None where there is none.

    The manifest's pointer is followed; where it dangles (a folder was deleted by hand), the
    highest step that is there is taken.
    """
    pointed = read_manifest(checkpoints).get("latest")
    if pointed is not None and (checkpoints / pointed / STATE).is_file():
        return checkpoints / pointed
    steps = step_folders(checkpoints)
    return steps[max(steps)] if steps else None


def step_folders(checkpoints: Path) -> dict[int, Path]:
    """Return the checkpoint folders by step."""
    named = ((STEP_NAME.fullmatch(path.name), path) for path in checkpoints.glob("step-*"))
    return {int(match[1]): path for match, path in named if match and (path / STATE).is_file()}


def read_manifest(checkpoints: Path) -> dict[str, Any]:
    """Read the manifest; an empty mapping where there is none.

    Raises:
        CheckpointError: it is there and is not JSON.
    """
    path = checkpoints / MANIFEST
    if not path.is_file():
        return {}
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error}); delete it, it is rebuilt") from None
    return manifest


def write_manifest(checkpoints: Path, manifest: Mapping[str, Any]) -> None:
    """Replace the manifest in one move."""
    beside = checkpoints / f".{MANIFEST}-{os.getpid()}"
    beside.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, checkpoints / MANIFEST)


def note(checkpoints: Path, name: str, score: float | None) -> None:
    """Point `latest` at a checkpoint, and `best` too where its score is the lowest so far."""
    manifest = read_manifest(checkpoints)
    manifest["latest"] = name
    best = manifest.get("best")
    known = best is not None and (checkpoints / best / STATE).is_file()
    if score is not None and (not known or score < manifest["best_score"]):
        manifest |= {"best": name, "best_score": score}
    write_manifest(checkpoints, manifest)


def prune(checkpoints: Path, keep: int, save_every: int) -> None:
    """Delete what is neither latest, best, nor among the newest `keep` regular checkpoints.

    Regular ones are those at multiples of `save_every`: a rollback goes to these only, so that a
    run that was interrupted in between rolls back as an undisturbed one would.
    """
    manifest = read_manifest(checkpoints)
    steps = step_folders(checkpoints)
    regular = sorted(step for step in steps if step % save_every == 0)[-keep:]
    kept = {steps[step].name for step in regular} | {manifest.get("latest"), manifest.get("best")}
    for folder in steps.values():
        if folder.name not in kept:
            remove(folder)


def remove(folder: Path) -> None:
    """Delete a checkpoint so that a half-deleted one is never taken for a whole one."""
    doomed = folder.with_name(f".old-{folder.name}-{os.getpid()}")
    os.replace(folder, doomed)
    shutil.rmtree(doomed)


def sweep(checkpoints: Path) -> None:
    """Delete what killed processes left half written or half deleted."""
    for pattern in (".tmp-step-*", ".old-step-*"):
        for left in checkpoints.glob(pattern):
            shutil.rmtree(left)
    for left in checkpoints.glob(f".{MANIFEST}-*"):
        left.unlink()

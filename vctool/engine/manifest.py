"""Manage the folder of checkpoints: which is the latest, which the best, which to delete.

Reading it is in `vctool.checkpoints`, which lower layers than the engine use too.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vctool.checkpoints import (
    MANIFEST,
    STATE,
    STEP_NAME,
    converting,
    find,
    latest,
    read_manifest,
    step_folders,
)
from vctool.data.atomic import write_text

__all__ = [
    "STATE",
    "choose",
    "clear",
    "converting",
    "find",
    "latest",
    "note",
    "prune",
    "read_manifest",
    "remove",
    "step_folders",
    "sweep",
    "write_manifest",
]


def write_manifest(checkpoints: Path, manifest: Mapping[str, Any]) -> None:
    """Replace the manifest atomically and sync it to the disk."""
    write_text(checkpoints / MANIFEST, json.dumps(manifest, indent=1) + "\n", durable=True)


def note(checkpoints: Path, name: str, score: float | None) -> None:
    """Point `latest` at a checkpoint, and `best` too where its score is the lowest so far."""
    manifest = read_manifest(checkpoints)
    manifest["latest"] = name
    best = manifest.get("best")
    known = best is not None and (checkpoints / best / STATE).is_file()
    if score is not None and (not known or score < manifest["best_score"]):
        manifest |= {"best": name, "best_score": score}
    write_manifest(checkpoints, manifest)


def choose(checkpoints: Path, converts: str) -> None:
    """Note which checkpoint converts: `latest` or `best`."""
    manifest = read_manifest(checkpoints)
    if manifest.get("converts", "latest") != converts:
        write_manifest(checkpoints, manifest | {"converts": converts})


def prune(checkpoints: Path, keep: int, save_every: int) -> None:
    """Delete checkpoints other than the latest, the best and the newest `keep` regular ones.

    Regular ones are those at multiples of `save_every`: a rollback goes to these only, so that a
    run that was interrupted in between rolls back as an uninterrupted one would.
    """
    manifest = read_manifest(checkpoints)
    steps = step_folders(checkpoints)
    regular = sorted(step for step in steps if step % save_every == 0)[-keep:]
    kept = {steps[step].name for step in regular} | {manifest.get("latest"), manifest.get("best")}
    for folder in steps.values():
        if folder.name not in kept:
            remove(folder)


def remove(folder: Path) -> None:
    """Delete a checkpoint so that a half-deleted one is never taken for a complete one."""
    doomed = folder.with_name(f".old-{folder.name}-{os.getpid()}")
    os.replace(folder, doomed)
    shutil.rmtree(doomed)


def sweep(checkpoints: Path) -> None:
    """Delete incomplete folders that killed processes left."""
    for pattern in (".tmp-step-*", ".old-step-*"):
        for left in checkpoints.glob(pattern):
            shutil.rmtree(left)


def clear(checkpoints: Path) -> None:
    """Delete all checkpoints and the manifest, but nothing else in the folder.

    The folder stays: it may be a link to another disk.
    """
    (checkpoints / MANIFEST).unlink(missing_ok=True)
    sweep(checkpoints)
    for folder in checkpoints.glob("step-*"):
        if STEP_NAME.fullmatch(folder.name):
            remove(folder)

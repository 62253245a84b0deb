"""Read checkpoints; `vctool.engine` writes and documents them.

The layout is `exp/<name>/checkpoints/step-00012000/{model.safetensors,state.json}`, and a manifest
beside the folders.
"""

import mmap
import re
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from vctool import packs
from vctool.errors import CheckpointError
from vctool.json_files import Each, Kind, read_fields

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

PIECE = 16 * 2**20
"""Bytes of a file whose CRC-32 is taken by one thread."""
THREADS = 4

State = dict[str, Any]
"""What `state.json` holds: format, family, config, context, step, recipe, train, score, ..."""

REQUIRED: dict[str, Kind] = {
    "format": int,
    "family": str,
    "config": dict,
    "context": dict,
    "step": int,
    "recipe": dict,
    "train": dict,
    "files": Each(int),
}
"""Fields of every `state.json`."""
OPTIONAL: dict[str, Kind] = {
    "score": (float, NoneType),
    "progress": Each(float),
    "digests": Each(str),
    "versions": Each(int),
    "data": Each(dict),
}
"""Fields that older ones lack."""


def find(path: Path) -> Path:
    """Return the checkpoint folder that a path stands for; the one that converts if several.

    A pack (`vctool.packs`) stands for itself.

    Raises:
        CheckpointError: no such path, or no complete checkpoint below it.
    """
    path = Path(path)
    if not path.exists():
        here = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise CheckpointError(
            f"{path}: no such experiment or checkpoint{here}; train one with ./run.sh"
        )
    if packs.is_pack(path):
        return path
    if not path.is_dir():
        raise CheckpointError(
            f"{path}: is a file; name an experiment, a checkpoint folder or a pack (*.vctool)"
        )
    if (path / STATE).exists() or STEP_NAME.fullmatch(path.name):
        return path
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    found = converting(folder)
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


def converting(checkpoints: Path) -> Path | None:
    """Return the checkpoint that converts: the best if `train.converts` says so, else the latest.

    None where there is no checkpoint.
    """
    manifest = read_manifest(checkpoints)
    if manifest.get("converts") == "best" and "best" in manifest:
        folder: Path = checkpoints / manifest["best"]
        if (folder / STATE).is_file():
            return folder
    return latest(checkpoints)


def step_folders(checkpoints: Path) -> dict[int, Path]:
    """Return the checkpoint folders in order of their steps."""
    named = ((STEP_NAME.fullmatch(path.name), path) for path in checkpoints.glob("step-*"))
    return {int(match[1]): path for match, path in named if match and (path / STATE).is_file()}


def read_manifest(checkpoints: Path) -> dict[str, Any]:
    """Read the manifest; an empty mapping if there is none.

    Raises:
        CheckpointError: it exists but is something else.
    """
    path = checkpoints / MANIFEST
    if not path.is_file():
        return {}
    kinds: dict[str, Kind] = {"latest": str, "best": str, "best_score": float, "converts": str}
    try:
        manifest = read_fields(path, {}, kinds)
        if "best" in manifest and "best_score" not in manifest:
            raise ValueError("lacks best_score")
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}; delete it, it is rebuilt") from None
    return manifest


def read_state(folder: Path) -> State:
    """Read and check `state.json`, or what a pack says in its place.

    Raises:
        CheckpointError: missing, something else, of a later layout, or beside files whose sizes
            are not those written.
    """
    if packs.is_pack(folder):
        state = packs.read_header(folder).state
        _require_known(state, folder)
        return state
    path = folder / STATE
    try:
        state = read_fields(path, REQUIRED, OPTIONAL)
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder}: half written (no {STATE}); delete it, the one before is used"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: {error}; it is damaged, or was not written by vctool: copy it again, or "
            "delete this checkpoint, the one before is used"
        ) from None
    _require_known(state, path)
    for name, size in state["files"].items():
        actual = (folder / name).stat().st_size if (folder / name).is_file() else None
        if actual != size:
            raise CheckpointError(
                f"{folder / name}: {actual or 0} bytes of {size}, half written or half copied; "
                "delete this checkpoint or copy it again"
            )
    return state


def _require_known(state: State, path: Path) -> None:
    """Refuse a state of a later layout, and drop what nothing reads any more.

    Raises:
        CheckpointError: it is of a later layout.
    """
    if state["format"] > FORMAT:
        raise CheckpointError(
            f"{path}: format {state['format']}, this version reads up to {FORMAT}; update vctool"
        )
    for name in GONE:
        state["context"].pop(name, None)


def digest(path: Path) -> str:
    """Hash a file of tensors, against damage: the CRC-32 of those of its pieces.

    A CRC-32 runs at several times the speed of SHA-256, and threads share the pieces, so it takes
    little of the loading time.
    """
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        content = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        whole = stack.enter_context(memoryview(content))

        def of_piece(start: int) -> bytes:
            with whole[start : start + PIECE] as piece:
                return zlib.crc32(piece).to_bytes(4, "big")

        threads = stack.enter_context(ThreadPoolExecutor(THREADS))
        sums = b"".join(threads.map(of_piece, range(0, len(whole), PIECE)))
    return f"crc32:{zlib.crc32(sums):08x}"


def damage(folder: Path) -> Iterator[str]:
    """Read a checkpoint through, and yield a line for each file that is not as it was written.

    Checkpoints of before there were digests are only checked for size.
    """
    try:
        state = read_state(folder)
    except CheckpointError as error:
        yield str(error)
        return
    written = state.get("digests", {})
    for name in state["files"]:
        if name in written and digest(folder / name) != written[name]:
            yield f"{folder / name}: damaged"


def read_tensors(path: Path) -> "dict[str, Tensor]":
    """Read one safetensors file of a checkpoint onto the CPU.

    Raises:
        CheckpointError: the file is missing or incomplete, or its content is not what was written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    written = read_state(path.parent).get("digests", {}).get(path.name)
    try:
        if written is not None and digest(path) != written:
            raise CheckpointError(
                f"{path}: damaged, not what was written; copy it again, or delete this "
                "checkpoint, the one before is used"
            )
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not readable ({error}); delete this checkpoint") from None

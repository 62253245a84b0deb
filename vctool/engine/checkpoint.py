"""Checkpoints: everything that training and conversion need, in safetensors and JSON only.

    checkpoints/manifest.json                     latest, best, and the score of each
    checkpoints/step-00012000/model.safetensors       weights and buffers, by name
                              optimizer.safetensors   Adam's moments, `group/parameter/moment`
                              training.safetensors    weights that training goes on with, where
                                                      the model's are their running mean
                              state.json              family, config, context, step, recipe, train

A folder is written under a temporary name and renamed, then the manifest is replaced, each only
when the step before is on the disk. A process killed at any moment, or a power cut, so leaves a
checkpoint that loads. `state.json` rebuilds the model without the recipe.
"""

import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from vctool import packs
from vctool.checkpoints import (
    FORMAT,
    MODEL,
    STATE,
    State,
    digest,
    find,
    read_state,
    read_tensors,
)
from vctool.config import Config, build
from vctool.durable import sync
from vctool.engine import manifest
from vctool.errors import CheckpointError, ConfigError
from vctool.features import base as registry
from vctool.models import base

logger = logging.getLogger(__name__)

__all__ = [
    "MODEL",
    "OPTIMIZER",
    "TRAINING",
    "State",
    "changed_fields",
    "converting",
    "describe",
    "load",
    "load_weights",
    "read_state",
    "read_tensors",
    "save",
    "writable",
]

OPTIMIZER = "optimizer.safetensors"
"""The file of the optimizers' moments."""

TRAINING = "training.safetensors"
"""The file of the weights that training goes on with; only where a running mean of them is kept."""


def describe(
    system: base.System,
    family: str,
    step: int,
    *,
    recipe: Mapping[str, Any],
    train: Mapping[str, Any],
    data: Mapping[str, Any],
) -> State:
    """Return the part of `state.json` that describes the system and its recipe.

    Args:
        system: the model, with its config and context.
        family: name of its folder below `vctool/models/`.
        step: training steps done.
        recipe: the resolved recipe as plain values; conversion reads its `convert` from here.
        train: the training settings as plain values.
        data: what each role was trained on; see `loop.Trainer`.
    """
    kinds = (*system.reads(system.config), *system.learns(system.config))
    return {
        "format": FORMAT,
        "family": family,
        "config": system.config.model_dump(mode="json", by_alias=True),
        "context": system.context.model_dump(mode="json", by_alias=True),
        "step": step,
        "recipe": dict(recipe),
        "train": dict(train),
        "data": dict(data),
        "versions": {registry.plain(kind): registry.get(kind).VERSION for kind in sorted(kinds)},
        "score": None,
        "progress": {},
    }


def save(
    checkpoints: Path,
    system: base.System,
    *,
    family: str,
    step: int,
    recipe: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    moments: Mapping[str, Tensor] | None = None,
    training: Mapping[str, Tensor] | None = None,
    score: float | None = None,
    progress: Mapping[str, Any] | None = None,
) -> Path:
    """Write one checkpoint and point the manifest's `latest` (and `best`) at it.

    Args:
        checkpoints: folder of all checkpoints, `exp/<name>/checkpoints`.
        system: the model; every weight and every persistent buffer is stored.
        family: name of its folder below `vctool/models/`.
        step: training steps done.
        recipe: the resolved recipe as plain values.
        train: the training settings as plain values.
        data: what each role was trained on.
        moments: the optimizers' tensors (`optim.moments`); none where training is over.
        training: the weights that training goes on with, where the system has their running mean.
        score: held-out score at this step, lower is better; None where none was measured.
        progress: the loop's own numbers (learning rate scale, rollbacks, seconds).

    Returns:
        The checkpoint's folder.

    Raises:
        CheckpointError: too little room on the disk, or a folder that cannot be written.
    """
    state = describe(system, family, step, recipe=recipe or {}, train=train or {}, data=data or {})
    state |= {"score": score, "progress": dict(progress or {})}
    tensors = {MODEL: writable(system.state_dict()), OPTIMIZER: writable(moments or {})}
    if training:
        tensors[TRAINING] = writable(training)
    folder = checkpoints / f"step-{step:08d}"
    beside = checkpoints / f".tmp-{folder.name}-{os.getpid()}"
    try:
        beside.mkdir(parents=True)
        _require_room(
            checkpoints, sum(t.nbytes for part in tensors.values() for t in part.values())
        )
        for name, part in tensors.items():
            save_file(part, beside / name)
        state["files"] = {name: (beside / name).stat().st_size for name in tensors}
        state["digests"] = {name: digest(beside / name) for name in tensors}
        (beside / STATE).write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
        for path in (*(beside / name for name in tensors), beside / STATE, beside):
            sync(path)
        _replace_folder(beside, folder)
        sync(checkpoints)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder}: cannot be written: {error}; free some space or choose another folder"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    manifest.note(checkpoints, folder.name, score)
    return folder


def load(path: Path, device: str | torch.device = "cpu") -> tuple[base.System, State]:
    """Rebuild a trained system from its checkpoint alone, in eval mode.

    Args:
        path: an experiment `exp/<name>`, its `checkpoints` folder, or one `step-...` folder; the
            first two mean the one that converts. Or a pack, which holds no discriminators: those
            of the system are then untaught.
        device: where the weights go.

    Raises:
        CheckpointError: missing, incomplete, of another family or with a changed config.
    """
    folder = find(path)
    state = read_state(folder)
    if packs.is_pack(folder):
        return _of_pack(folder, state).to(device).eval(), state
    try:
        family = base.family(state["family"])
        config = build(family.Config, state["config"], f"{folder / STATE} config")
        context = build(base.Context, state["context"], f"{folder / STATE} context")
    except ConfigError as error:
        raise CheckpointError(
            f"{error}; this checkpoint is of a changed family: train again with --fresh"
        ) from None
    _warn_of_versions(folder, state)
    system = family(config, context)
    load_weights(folder, system)
    return system.to(device).eval(), state


def _of_pack(path: Path, state: State) -> base.System:
    """Rebuild a system from a pack.

    Raises:
        CheckpointError: of a family or with settings that this version does not have, or damaged.
    """
    try:
        family = base.family(state["family"])
        config = build(family.Config, state["config"], f"{path} config")
        context = build(base.Context, state["context"], f"{path} context")
    except ConfigError as error:
        raise CheckpointError(
            f"{path}: {error}; update vctool, or ask for a pack of this version"
        ) from None
    _warn_of_versions(path, state)
    system = family(config, context)
    left_out = set(system.state_dict()) - converting(system)
    stored = packs.read_tensors(path)
    remedy = "update vctool, or ask for a pack of this version"
    _require_fit(path, stored, system, left_out, remedy)
    system.load_state_dict(stored, strict=False)
    return system


def converting(system: base.System) -> set[str]:
    """Name the tensors of a system that converting needs: all but those of its discriminators.

    Left out are `System.training_buffers` too. Parts of the system all of whose parameters are
    discriminators' are theirs, buffers included.
    """
    groups = system.groups()
    judging = {
        id(one) for name in system.discriminator_groups for one in groups.get(name, ()) or ()
    }
    theirs = set()
    for name, part in system.named_children():
        own = list(part.parameters())
        if own and all(id(one) in judging for one in own):
            theirs.add(name)
    theirs |= set(system.training_buffers)
    return {name for name in system.state_dict() if name.partition(".")[0] not in theirs}


def _warn_of_versions(folder: Path, state: State) -> None:
    """Say where the code that computes a model's features has changed since it was trained."""
    for kind, trained in state.get("versions", {}).items():
        now = registry.get(kind).VERSION if kind in registry.names() else None
        if now != trained:
            logger.warning(
                "%s: was trained on %s of version %d, and this vctool computes version %s; train "
                "it again, or use the vctool that it was trained with",
                *(folder, kind, trained, now),
            )


def load_weights(folder: Path, system: nn.Module) -> None:
    """Copy a checkpoint's weights and buffers into a system, strictly.

    Raises:
        CheckpointError: unreadable, or names or shapes differ; the message lists the first few.
    """
    stored = read_tensors(folder / MODEL)
    remedy = "it is of another family or version: train again with --fresh"
    _require_fit(folder / MODEL, stored, system, set(), remedy)
    system.load_state_dict(stored)


def read_training(folder: Path) -> dict[str, Tensor]:
    """Return the weights that training goes on with; none where the model's are these."""
    path = folder / TRAINING
    return read_tensors(path) if path.is_file() else {}


def _require_fit(
    path: Path, stored: Mapping[str, Tensor], system: nn.Module, left_out: set[str], remedy: str
) -> None:
    """Refuse tensors whose names or shapes are not those of a system.

    Args:
        path: where the tensors are from.
        stored: the tensors.
        system: the system.
        left_out: names that may be missing.
        remedy: what to do.

    Raises:
        CheckpointError: names or shapes differ; the message lists the first few.
    """
    own = system.state_dict()
    wrong = [f"{name} missing" for name in own if name not in stored and name not in left_out]
    wrong += [f"{name} unknown" for name in stored if name not in own]
    wrong += [
        f"{name} {tuple(stored[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in stored and stored[name].shape != own[name].shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CheckpointError(
            f"{path}: does not fit this model: {'; '.join(wrong[:3])}{more}; {remedy}"
        )


def completed(settings: Config, stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fill in the defaults of fields that are newer than the checkpoint.

    Args:
        settings: an object of the class that was stored.
        stored: as plain values; returned as they are where they do not fit any more.
    """
    try:
        return build(type(settings), stored, "stored").model_dump(mode="json", by_alias=True)
    except ConfigError:  # the comparison field by field will report what does not fit
        return stored


def changed_fields(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """List the fields in which two trees of settings differ: `model.width: 64 -> 32`."""
    changes: list[str] = []
    for key in dict.fromkeys([*old, *new]):
        was, now = old.get(key, "unset"), new.get(key, "unset")
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            changes += changed_fields(was, now, f"{prefix}{key}.")
        elif was != now:
            changes.append(f"{prefix}{key}: {was} -> {now}")
    return changes


def writable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors to the CPU, each in its own memory, as safetensors requires."""
    seen: set[int] = set()
    result = {}
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        address = plain.untyped_storage().data_ptr()
        result[name] = plain.clone() if address in seen else plain
        seen.add(address)
    return result


def _require_room(checkpoints: Path, size: int) -> None:
    free = shutil.disk_usage(checkpoints).free
    # the old checkpoints are deleted only after the new one is complete
    if free < 1.05 * size + 2**20:
        raise CheckpointError(
            f"{checkpoints}: a checkpoint takes {size / 2**20:.0f} MiB and {free / 2**20:.0f} MiB "
            "are free; free some space, or lower train.keep"
        )


def _replace_folder(source: Path, target: Path) -> None:
    """Replace a folder by another; rename alone cannot replace a folder that is not empty."""
    if target.exists():
        manifest.remove(target)
    os.replace(source, target)

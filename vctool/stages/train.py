"""Stage 3: train a recipe's system, or continue from its last checkpoint."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from vctool import cache
from vctool.engine.distributed import any_process, processes
from vctool.experiment.recipe import Recipe
from vctool.training import extend, fine_tune, parts, setup

logger = logging.getLogger(__name__)

PREPARED = "prepared.sqlite"
"""File of what families prepare once for all experiments: in the folder of the first corpus below
`dump/`."""


def run(recipe: Recipe, device: str = "auto", fresh: bool = False) -> Path:
    """Train to the recipe's number of steps, alone or as one of `torchrun`'s processes.

    Args:
        recipe: the experiment.
        device: `auto`, `cpu` or `cuda`.
        fresh: delete the experiment's checkpoints and start over.

    Returns:
        The folder of the last checkpoint.

    Raises:
        ConfigError: unknown hyper-parameters, loss weights or vocoder.
        DataError: features are missing or a role has no utterances.
        CheckpointError: the last checkpoint has other settings; the message names the fields.
        TrainingError: losses stay non-finite.
    """
    with processes(device) as own:
        if own.device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        if not fresh:
            fine_tune.require_start(recipe)
            parts.require_kept(recipe)
        before = None if recipe.base is None else extend.read(recipe)
        if before is not None and not fresh:
            extend.require_kept(recipe, before)
        if recipe.maker is not None:
            if own.writes:
                splits = ("train", "dev") if setup.has_split(recipe, "dev") else ("train",)
                fine_tune.reconstruct(recipe, splits, own.device)
            any_process([False], own)  # the others wait
        with _kept(Path("dump") / next(iter(recipe.corpus.names))):
            folder = setup.prepare(recipe, own, before).run(fresh)
        if before is not None:
            extend.require_kept(recipe, before)
        return folder


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """Keep below a folder of features what is prepared once, unless others own the folder."""
    if os.access(folder, os.W_OK):
        with cache.use(folder / PREPARED):
            yield
        return
    if folder.is_dir():
        logger.info("%s: cannot be written to; what is prepared for training is not kept", folder)
    yield

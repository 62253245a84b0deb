"""Systems that build on trained ones: a part takes over another's weights, and keeps them.

A family names its parts and the experiments they are from (`base.System.builds_on`); the weights
then travel in its own checkpoints, so that a trained system needs nothing else.
"""

import logging
from pathlib import Path

import torch

from vctool import checkpoints
from vctool.engine import checkpoint
from vctool.errors import CheckpointError, ConfigError
from vctool.experiment import plan
from vctool.experiment.recipe import Recipe
from vctool.models.base import System

logger = logging.getLogger(__name__)


def take_over(system: System, recipe: Recipe) -> None:
    """Give the parts of a new system their weights.

    Args:
        system: one whose parts are not yet taught.
        recipe: its experiment.

    Raises:
        CheckpointError: no such experiment, or it holds no checkpoint.
        ConfigError: it is of another family, or has other features or another model.
    """
    for name, path in system.builds_on(system.config).items():
        part, trained = getattr(system, name), _read(recipe, path)
        _require_fit(recipe, name, path, part, trained)
        part.load_state_dict(trained.state_dict())
        logger.info("%s: its %s is %s, frozen", recipe.name, name, path)


def require_kept(recipe: Recipe) -> None:
    """Check that a recipe's last checkpoint, if any, holds the weights that its parts now have.

    Raises:
        CheckpointError: it was trained with others.
    """
    folder = checkpoints.latest(recipe.exp / "checkpoints")
    named = plan.system(recipe).builds_on(plan.model_config(recipe))
    if folder is None or not named:
        return
    stored = checkpoints.read_tensors(folder / checkpoints.MODEL)
    for part, path in named.items():
        now = _read(recipe, path).state_dict()
        kept = (stored.get(f"{part}.{name}") for name in now)
        if not all(
            one is not None and torch.equal(one, other)
            for one, other in zip(kept, now.values(), strict=True)
        ):
            raise CheckpointError(
                f"{folder}: was trained with other weights than those that {path} has now; choose "
                "another name, or start over with --fresh"
            )


def _read(recipe: Recipe, path: str) -> System:
    try:
        return checkpoint.load(Path(path))[0]
    except CheckpointError as error:
        raise CheckpointError(f"recipe {recipe.name} builds on {error}") from None


def _require_fit(recipe: Recipe, name: str, path: str, part: System, trained: System) -> None:
    """Refuse a system that a part cannot be.

    Raises:
        ConfigError: it is of another family, or has other features or another model.
    """
    where = f"recipe {recipe.name}: model.{name}: {path}"
    if type(trained) is not type(part):
        family = type(part).__module__.split(".")[-2]
        raise ConfigError(f"{where} is of another family than {family}; name one that is")
    for field, one, other in (
        ("features", trained.context.features, part.context.features),
        (f"model.{name}", trained.config, part.config),
    ):
        was, now = (each.model_dump(mode="json") for each in (one, other))
        changes = checkpoint.changed_fields(now, was, f"{field}.")
        if changes:
            raise ConfigError(
                f"{where} has other settings than the recipe ({'; '.join(changes[:4])}); "
                f"set {field} as it is there"
            )

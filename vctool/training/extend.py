"""Add roles to a trained system without changing a bit of what it has learnt.

A recipe with `extends: NAME` has the roles of `exp/NAME` and more. Its system starts with all
weights, buffers and statistics of that experiment's last checkpoint. These are frozen, and only
the parameters of the new roles are trained. All is written to the recipe's own folder, and after
its first checkpoint training continues as any other.
"""

import logging
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vctool import checkpoints
from vctool.config import Config, build
from vctool.engine import checkpoint
from vctool.errors import CheckpointError, ConfigError
from vctool.experiment import plan
from vctool.experiment.recipe import Recipe
from vctool.models.base import Context, System, family

logger = logging.getLogger(__name__)


class Base(NamedTuple):
    """The experiment that is extended."""

    folder: Path
    """Its last checkpoint."""
    context: Context
    tensors: dict[str, Tensor]
    """Its weights and buffers by name."""


def read(recipe: Recipe) -> Base:
    """Read the experiment that a recipe extends, and check that the recipe fits it.

    Raises:
        ConfigError: the family cannot be extended.
        CheckpointError: no checkpoint there, or one with other settings; the message lists them.
    """
    assert recipe.base is not None
    cls, config = family(recipe.family), plan.model_config(recipe)
    if not cls.takes_more_roles:
        raise ConfigError(
            f"recipe {recipe.name}: extends {recipe.base}, but {recipe.family} has a fixed number "
            "of roles; take a family of many, such as vae_gan"
        )
    folder = checkpoints.find(recipe.base)
    state = checkpoints.read_state(folder)
    if state["family"] != recipe.family:
        raise CheckpointError(f"{folder}: is of the family {state['family']}, not {recipe.family}")
    where = f"{folder / checkpoints.STATE}"
    known = build(cls.Config, state["config"], f"{where} config")
    before = build(Context, state["context"], f"{where} context")
    changes = [
        *checkpoint.changed_fields(_plain(known), _plain(config), "model."),
        *checkpoint.changed_fields(_plain(before.features), _plain(recipe.features), "features."),
    ]
    if changes:
        raise CheckpointError(
            f"{folder}: was trained with other settings than {recipe.name}, which extends it "
            f"({'; '.join(changes[:4])}); set them as they were"
        )
    return Base(folder, before, checkpoints.read_tensors(folder / checkpoints.MODEL))


def widen(recipe: Recipe, before: Base, context: Context) -> Context:
    """Return the context of all roles; that of the old ones is unchanged.

    Args:
        recipe: one with `extends`.
        before: the experiment that it extends.
        context: as collected from the features of all roles.

    Raises:
        ConfigError: the recipe lacks an old role, or has no new one.
    """
    old = before.context
    lost = [role for role in old.roles if role not in context.roles]
    if lost:
        raise ConfigError(
            f"recipe {recipe.name}: lacks '{lost[0]}', which {recipe.base} has; a recipe that "
            "extends an experiment has all of its roles"
        )
    added = tuple(role for role in context.roles if role not in old.roles)
    if not added:
        raise ConfigError(
            f"recipe {recipe.name}: has no role that {recipe.base} lacks; name one in corpus.also"
        )
    return context.model_copy(
        update={
            "roles": (*old.roles, *added),
            "speakers": {**context.speakers, **old.speakers},
            "domains": {**context.domains, **old.domains},
            "added": added,
        }
    )


def take_over(system: System, before: Base) -> None:
    """Copy the weights and buffers of the old system to the new, larger one, and freeze them.

    Raises:
        CheckpointError: a tensor of the old system is missing in the new one or differs in shape.
    """
    own = system.state_dict()
    for name, value in before.tensors.items():
        if name not in own or own[name].shape != value.shape:
            raise CheckpointError(
                f"{before.folder}: its {name} does not fit {type(system).__module__}; it is of "
                "another version: train it again with --fresh"
            )
    system.load_state_dict(before.tensors, strict=False)
    for name, parameter in system.named_parameters():
        if name in before.tensors:
            parameter.requires_grad_(False)
    trained = sum(one.numel() for one in system.parameters() if one.requires_grad)
    logger.info(
        "%s stays as it is; %s: %.2f M parameters to train",
        before.folder,
        ", ".join(system.context.added),
        trained / 1e6,
    )


def require_kept(recipe: Recipe, before: Base) -> None:
    """Check that a recipe's last checkpoint, if any, holds the old system unchanged.

    Raises:
        CheckpointError: the experiment that it extends has been trained since.
    """
    folder = checkpoints.latest(recipe.exp / "checkpoints")
    if folder is None:
        return
    stored = checkpoints.read_tensors(folder / checkpoints.MODEL)
    moved = [name for name, value in before.tensors.items() if not _same(stored.get(name), value)]
    if moved:
        raise CheckpointError(
            f"{folder}: extends another state of {recipe.base} than {before.folder.name} "
            f"({moved[0]} differs); start over with --fresh"
        )


def _same(one: Tensor | None, other: Tensor) -> bool:
    return one is not None and torch.equal(one.nan_to_num(), other.nan_to_num())


def _plain(settings: Config) -> dict[str, object]:
    return settings.model_dump(mode="json", by_alias=True)

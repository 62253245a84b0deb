"""The contract of a family: all that `vctool/models/<family>/system.py` has to say.

A family yields losses; the engine steps, logs, saves, resumes and validates. The folder is the
registry: `vctool/models/NAME/system.py` with a class `System` makes NAME a valid family.
"""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from vctool.config import Config, suggest
from vctool.data.feature_set import FeatureSet
from vctool.errors import ConfigError
from vctool.features.kinds import Features
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats

Terms = dict[str, Tensor]
"""Loss terms by name, each a scalar, not yet weighted."""


class Context(Config):
    """What a system must know besides its own config; stored in every checkpoint."""

    features: FeatureConfig
    """Settings of every feature it reads and writes."""
    vocoder: str
    """Name of the vocoder that turns its features into sound."""
    roles: tuple[str, ...]
    """Names that `--to` accepts: the domains, speakers or instruments it converts between."""
    speakers: dict[str, SpeakerStats] = Field(default_factory=dict)
    """Log-F0 statistics of every training speaker."""
    domains: dict[str, SpeakerStats] = Field(default_factory=dict)
    """Log-F0 statistics over all training speakers of each role."""
    added: tuple[str, ...] = ()
    """Roles that were added to a trained system, whose other roles stay as they are."""
    start: str | None = None
    """Experiment whose weights it began with; what its `setup` has measured stays."""


class Dataset(Protocol):
    """Batches as a function of the step, so that batch k needs no batch before it."""

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Any:
        """Return this process's share of the global batch of a step: a NamedTuple of tensors."""

    def names(self, step: int) -> list[str]:
        """Return the ids of the utterances in the global batch of a step."""


class System(nn.Module):
    """One conversion system: networks, losses, and how to convert with them."""

    Config: ClassVar[type[Config]]
    """Frozen settings, one documented field per hyper-parameter."""
    best_of: ClassVar[tuple[str, ...]] = ()
    """Groups whose held-out loss ranks checkpoints; none: all that do not discriminate."""
    takes_more_roles: ClassVar[bool] = False
    """Whether roles can be added once it is trained. Every tensor of the smaller system is then in
    the larger one under the same name, and is kept: frozen where it is a parameter, and not touched
    by `setup` where it is a buffer. `dataset` draws the roles in `context.added` at every step."""

    config: Any
    context: Context

    def __init__(self, config: Any, context: Context) -> None:
        super().__init__()
        self.config = config
        self.context = context

    @classmethod
    def reads(cls, config: Any) -> tuple[str, ...]:
        """Name the kinds that conversion takes; those of an accompaniment begin with `accomp_`."""
        raise NotImplementedError

    @classmethod
    def learns(cls, config: Any) -> tuple[str, ...]:
        """Name the kinds that a training batch is drawn from; default: those that it reads."""
        return cls.reads(config)

    @classmethod
    def writes(cls, config: Any) -> tuple[str, ...]:
        """Name the kinds that conversion gives, which the recipe's vocoder must accept."""
        raise NotImplementedError

    @classmethod
    def dataset(
        cls,
        config: Any,
        context: Context,
        sets: Mapping[str, FeatureSet],
        batch_size: int,
        seed: int,
    ) -> Dataset:
        """Choose how clips are drawn from the utterances of each role."""
        raise NotImplementedError

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """Name the parameters that each optimizer steps."""
        raise NotImplementedError

    def setup(self, batch: Any) -> None:
        """Initialise buffers from data (MiniRocket biases, normalisation); default: nothing."""

    def objectives(self, batch: Any, step: int) -> Iterator[tuple[str, Terms]]:
        """Yield `(group, terms)` in the order in which groups are stepped.

        What follows a `yield` runs after that group's step. The same generator is iterated
        without gradients for validation.
        """
        raise NotImplementedError

    def convert(self, source: Features, condition: Features | None, to: str) -> Features:
        """Convert the features of one utterance; deterministic, any length, same length out.

        Args:
            source: voice features by kind, each (F, D).
            condition: accompaniment features by kind (`accomp_mel`, `accomp_chroma`), each
                (F, D) with the source's F, or None where the direction needs none.
            to: the role to convert to, one of `context.roles`.
        """
        raise NotImplementedError

    def needs_accompaniment(self, to: str) -> bool:
        """Tell whether a direction converts under an accompaniment; default: no."""
        return False

    def streamable(self) -> nn.Module | None:
        """Return what may be traced for real time, or None where nothing may; default: None."""
        return None

    @property
    def device(self) -> torch.device:
        """The device that the weights are on."""
        return next(self.parameters()).device


def families() -> list[str]:
    """Name the families: the folders beside this file that hold a `system.py`."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/system.py"))


def family(name: str) -> type[System]:
    """Return a family's `System` class.

    Raises:
        ConfigError: there is no such family; the nearest name is suggested.
    """
    if name not in families():
        raise ConfigError(f"family: no family '{name}'{suggest(name, families())}")
    system: type[System] = importlib.import_module(f"vctool.models.{name}.system").System
    return system

"""The interface of a model family: what `vctool/models/<family>/system.py` implements.

A family yields losses; the engine trains, logs, saves, resumes and validates. The folder is the
registry: `vctool/models/NAME/system.py` with a class `System` makes NAME a valid family.
"""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from vctool import models
from vctool.config import Config, suggest
from vctool.data.feature_set import FeatureSet
from vctool.errors import ConfigError
from vctool.features import framing
from vctool.features.base import Features
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.nn.streaming import NotRealTime, Stream, whole

Terms = dict[str, Tensor]
"""Loss terms by name, each a scalar, not yet weighted."""


class Context(Config):
    """What a system needs besides its own config; stored in every checkpoint."""

    features: FeatureConfig
    """Settings of every feature it reads and writes."""
    vocoder: str
    """Name of the vocoder that turns its features into sound."""
    roles: tuple[str, ...]
    """Names that `--to` accepts: the domains, speakers or instruments it converts between; none
    where recordings are its only targets."""
    speakers: dict[str, SpeakerStats] = Field(default_factory=dict)
    """Log-F0 statistics of every training speaker."""
    domains: dict[str, SpeakerStats] = Field(default_factory=dict)
    """Log-F0 statistics over all training speakers of each role."""
    added: tuple[str, ...] = ()
    """Roles that are added to a trained system; the others stay unchanged."""


Reference = dict[str, np.ndarray]
"""Conditioning on a target that the system was not trained on: arrays by name, of any shape,
computed once from the target's recordings (`System.reference`) and passed with every block. They
are contiguous and of a plain dtype, so that safetensors can store them beside a model."""


class NoOptions(Config):
    """Conversion options of families that have none of their own."""


class Condition(NamedTuple):
    """Inputs of a conversion besides its source."""

    accompaniment: Features | None = None
    """Features of an accompaniment by kind (`accomp_mel`, ...), each (F, D) with the source's F;
    None where the direction needs none."""
    reference: Reference | None = None
    """The target, where it is given by recordings instead of a role."""
    options: Any = NoOptions()
    """The family's own `Options`."""
    voice: SpeakerStats | None = None
    """F0 statistics of the whole source, of which the features are a block; None where they are all
    of it. A block's own would move the pitch of every block by another interval."""
    transpose: float = 0.0
    """Shift of the pitch of what is played [semitones], where the system does that itself
    (`System.transposes`); else 0."""
    start: int = 0
    """Frame of the whole conversion that the source begins with, where it is a block; noise is a
    function of it, so that blocks are what one pass is."""


class Note(NamedTuple):
    """A note that was found."""

    start: float
    """[s]."""
    end: float
    """[s], beyond `start`."""
    pitch: int
    """MIDI number, 0 to 127; 69 is A4."""
    velocity: int
    """1 to 127."""


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
    Options: ClassVar[type[BaseModel]] = NoOptions
    """Options of a conversion besides its target: documented fields with defaults, each a number, a
    flag or a word, given as `--field value`. Options that every family has (stretch, transpose) are
    not among them."""
    discriminator_groups: ClassVar[tuple[str, ...]] = ()
    """Parameter groups of discriminators. Their losses fall when the generators get worse, so
    checkpoints are ranked by the held-out losses of all other groups."""
    adversarial_terms: ClassVar[tuple[str, ...]] = ()
    """Terms of other groups that discriminators decide. They fall when these get worse, so they do
    not rank checkpoints either."""
    training_buffers: ClassVar[tuple[str, ...]] = ()
    """Buffers besides those of the discriminators that only training reads; packs lack them."""
    task: ClassVar[str] = "voices"
    """Evaluation task of a recipe that sets no `evaluate.task`."""
    takes_reference: ClassVar[bool] = False
    """Whether a target may be given by recordings instead of a role; see `reference`."""
    reference_version: ClassVar[int] = 1
    """Version of the code of `reference`. Raise it whenever what that returns changes: references
    are kept between runs."""
    untrained: ClassVar[bool] = False
    """Whether it converts to recordings with no roles, nothing learnt and nothing set up; its model
    is then named after the family, and needs no experiment. With roles, `setup` takes the features
    of each role's recordings, `{role: iterator}`, from training data or from `vctool pack`."""
    only_references: ClassVar[bool] = False
    """Whether recordings are its only targets: what a recipe's roles name it only learns from, so
    that `context.roles` is empty and `--to` names no role. Training batches are drawn from
    `sets[role]` of the recipe's roles; stage 4 converts the triplets of the split that is scored
    (`data.triplet_table`), each content to its style."""
    transposes: ClassVar[bool] = False
    """Whether `convert` moves the pitch itself, by `condition.transpose`. Otherwise F0 is moved
    where the system writes it, or the sound after it was synthesised."""
    takes_more_roles: ClassVar[bool] = False
    """Whether roles can be added once it is trained. Every tensor of the smaller system is then in
    the larger one under the same name, and is kept: frozen where it is a parameter, and not touched
    by `setup` where it is a buffer. `dataset` draws the roles in `context.added` at every step."""

    not_real_time: ClassVar[str] = "it has no form that runs chunk by chunk"
    """Which part keeps it from running in real time, and why, in a line; `streamable` says so."""

    config: Any
    context: Context

    def __init__(self, config: Any, context: Context) -> None:
        super().__init__()
        self.config = config
        self.context = context

    @classmethod
    def reads(cls, config: Any) -> tuple[str, ...]:
        """Return the kinds that conversion reads; an accompaniment's begin with `accomp_`."""
        raise NotImplementedError

    @classmethod
    def learns(cls, config: Any) -> tuple[str, ...]:
        """Return the kinds that a training batch is drawn from; default: those of `reads`."""
        return cls.reads(config)

    @classmethod
    def writes(cls, config: Any) -> tuple[str, ...]:
        """Return the kinds that conversion writes, which the recipe's vocoder must accept."""
        raise NotImplementedError

    @classmethod
    def dataset(
        cls,
        config: Any,
        context: Context,
        sets: Mapping[str, FeatureSet],
        batch_size: int,
        seed: int,
    ) -> Dataset | None:
        """Choose how clips are drawn from the utterances of each role.

        None, the default, for a family that neither learns nor is set up from data.
        """
        return None

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """Return the parameters of each optimizer, by group.

        A family without training returns none: it is only set up and saved. Its parameters, if
        any, take no gradient (`requires_grad_(False)`).
        """
        raise NotImplementedError

    def setup(self, batch: Any) -> None:
        """Initialise buffers from data (MiniRocket biases, normalisation); default: nothing."""

    def objectives(self, batch: Any, step: int) -> Iterator[tuple[str, Terms]]:
        """Yield `(group, terms)` in the order in which groups are updated.

        Code after a `yield` runs after that group's update. The same generator is iterated
        without gradients for validation.
        """
        raise NotImplementedError

    def reference(self, recordings: Iterable[Features]) -> Reference:
        """Compute what `convert` needs of a target that is given by recordings instead of a role.

        Args:
            recordings: features of the target, by the kinds of a voice in `reads`; a long
                recording comes in several pieces. Silent ones are left out. Never empty.
        """
        raise NotImplementedError

    @property
    def finds_notes(self) -> bool:
        """Whether `notes` and `octaves` can be asked."""
        return False

    def notes(self, source: Features) -> list[Note]:
        """Find the notes that are played in (a block of) a recording, by their onset.

        Only systems with `finds_notes` do.

        Args:
            source: features by kind, as for `convert`.
        """
        raise NotImplementedError

    def octaves(self, sources: Iterable[Features], reference: Reference) -> int:
        """Return how many octaves bring recordings into the range of a reference.

        Only systems with `finds_notes` know.

        Args:
            sources: features of the recordings, or of their blocks.
            reference: of the target.

        Raises:
            DataError: nothing in the recordings has a pitch.
        """
        raise NotImplementedError

    def doubts(self, reference: Reference) -> str | None:
        """Say what a user should know of a target's recordings, in one line; default: nothing.

        Args:
            reference: as `reference` returned it, in this run or an earlier one.
        """
        return None

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        """Convert the features of one utterance; deterministic, any length, same length out.

        Args:
            source: features by kind, each (F, D), of the kinds of a voice in `reads`.
            condition: all other inputs of the conversion.
            to: the role to convert to, one of `context.roles`; None where the target is
                `condition.reference`.

        Returns:
            Features of the kinds in `writes`, each (F, D) float32.
        """
        raise NotImplementedError

    @classmethod
    def builds_on(cls, config: Any) -> dict[str, str]:
        """Name the trained experiments or packs whose weights parts of it take over and keep.

        Returns:
            A path by the name of an attribute, which holds a `System` with frozen parameters. A
            new system is given their weights before `setup` (`vctool.training.parts`); checkpoints
            hold them, so that a trained one needs the paths no more.
        """
        return {}

    @classmethod
    def needs_accompaniment(cls, config: Any, to: str | None) -> bool:
        """Tell whether a direction needs an accompaniment; default: no."""
        return False

    def streamable(self) -> Stream | NotRealTime:
        """Return the system as it runs in real time, sound to sound, or why it does not.

        A system that does reads and writes `wave`, and its `convert` is `stream_convert`: what is
        heard live, exported and written by `vctool convert` is the same.
        """
        return NotRealTime(self.not_real_time)

    def controls(self, condition: Condition, to: str | None) -> dict[str, np.ndarray]:
        """Return what a target sets the stream's control inputs to, each (1, C) float32 by name.

        Args:
            condition: its reference and its options.
            to: the role to convert to; None where the target is `condition.reference`.
        """
        return {}

    @property
    def device(self) -> torch.device:
        """The device of its weights or buffers; the CPU where it has neither."""
        tensors = chain(self.parameters(), self.buffers())
        return next((tensor.device for tensor in tensors), torch.device("cpu"))


def stream_convert(
    system: System, source: Features, condition: Condition, to: str | None
) -> Features:
    """Convert as the system's stream does, its latency taken off: `wave` to `wave`, (F, hop)."""
    stream = system.streamable()
    assert isinstance(stream, Stream), stream.reason
    frames, config = source["wave"], system.context.features
    wave = framing.unframe(frames, frames.size - config.hop_length // 2)
    controls = system.controls(condition, to)
    tensors = {name: torch.tensor(value) for name, value in controls.items()}
    made = whole(stream, torch.from_numpy(wave).to(system.device), tensors)
    return {"wave": framing.frame(made.cpu().numpy(), config)}


def families() -> list[str]:
    """Return the names of the families: the folders of this package that hold a `system.py`."""
    return models.names()


def family(name: str) -> type[System]:
    """Return a family's `System` class.

    Raises:
        ConfigError: there is no such family; the nearest name is suggested.
    """
    if name not in families():
        raise ConfigError(f"family: no family '{name}'{suggest(name, families())}")
    system: type[System] = importlib.import_module(f"vctool.models.{name}.system").System
    return system

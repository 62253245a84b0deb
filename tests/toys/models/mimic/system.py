"""A family that learns nothing: it gives a voice the pitch and the timbre of its target.

The target is a role, whose pitch is known from the data, or recordings.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from vctool.config import Config
from vctool.features.base import Features
from vctool.models import base
from vctool.models.base import Condition, Context, Reference


class MimicConfig(Config):
    """Settings."""

    measured: bool = True
    """Whether the sources' envelope is measured when it is set up."""


class MimicOptions(Config):
    """What may be asked of a conversion."""

    amount: float = Field(1.0, ge=0, le=1)
    """How far F0 is moved to the target's."""
    whispered: bool = False
    """Whether the output has no F0."""
    timbre: str = "target"
    """Whose envelope the output has: `target` or `source`."""


class Clips:
    """Every utterance of the roles as one batch, by role: (F, D)."""

    def __init__(self, sets: Mapping[str, Any]) -> None:
        self.sets = sets

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> dict[str, Tensor]:
        return {
            role: torch.from_numpy(np.concatenate([held.load(name, "world") for name in held.ids]))
            for role, held in self.sets.items()
        }

    def names(self, step: int) -> list[str]:
        return [name for held in self.sets.values() for name in held.ids]


class System(base.System):
    """Nothing to train, one buffer to measure."""

    Config = MimicConfig
    Options = MimicOptions
    takes_reference = True
    heard: ClassVar[list[int]] = []
    """Frames of what `reference` was given, call after call."""

    def __init__(self, config: MimicConfig, context: Context) -> None:
        super().__init__(config, context)
        size = context.features.envelope_dim
        self.register_buffer("envelopes", torch.zeros(len(context.roles), size))
        self.envelopes: Tensor

    @classmethod
    def reads(cls, config: MimicConfig) -> tuple[str, ...]:
        return ("world",)

    @classmethod
    def writes(cls, config: MimicConfig) -> tuple[str, ...]:
        return ("world",)

    @classmethod
    def dataset(cls, config: MimicConfig, context: Context, sets: Any, *_: int) -> Clips | None:  # type: ignore[override]
        return Clips(sets) if config.measured else None

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        return {}

    def setup(self, batch: dict[str, Tensor]) -> None:
        for index, role in enumerate(self.context.roles):
            self.envelopes[index] = batch[role][:, self.envelope].mean(dim=0)

    @property
    def envelope(self) -> slice:
        return slice(1, 1 + self.context.features.envelope_dim)

    def reference(self, recordings: Iterable[Features]) -> Reference:
        pieces = [one["world"] for one in recordings]
        self.heard.append(sum(map(len, pieces)))
        whole = np.concatenate(pieces)
        voiced = whole[whole[:, 0] > 0]
        return {
            "log_f0": np.log(voiced[:, 0]).mean(keepdims=True),
            "envelope": voiced[:, self.envelope].mean(axis=0),
        }

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        options = condition.options
        world = source["world"].copy()
        if to is None:
            known = condition.reference
            assert known is not None
            log_f0, envelope = float(known["log_f0"][0]), known["envelope"]
        else:
            log_f0 = self.context.domains[to].log_f0_mean
            envelope = self.envelopes[self.context.roles.index(to)].cpu().numpy()
        voiced = world[:, 0] > 0
        own = np.log(world[voiced, 0])
        world[voiced, 0] = np.exp(own + options.amount * (log_f0 - own))
        if options.whispered:
            world[:, 0] = 0
        if options.timbre == "target":
            own_level = world[:, 1].copy()
            world[:, self.envelope] = 0.5 * world[:, self.envelope] + 0.5 * envelope
            world[:, 1] = own_level
        return {"world": world.astype(np.float32)}

"""A family that has nothing to learn and nothing to measure: mel in, a softer end of it out."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import nn

from vctool.config import Config
from vctool.features.base import Features
from vctool.models import base
from vctool.models.base import Condition

FALL_DB = 6.0
"""How much softer the upper half of the bins is made [dB]."""


class EchoConfig(Config):
    """No settings."""


class System(base.System):
    """No weights, and no buffers."""

    Config = EchoConfig

    @classmethod
    def reads(cls, config: Any) -> tuple[str, ...]:
        return ("mel",)

    @classmethod
    def writes(cls, config: Any) -> tuple[str, ...]:
        return ("mel",)

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        return {}

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        mel = source["mel"].copy()
        mel[:, mel.shape[1] // 2 :] -= np.float32(FALL_DB)
        return {"mel": mel}

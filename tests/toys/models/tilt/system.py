"""A family that learns nothing and whose only targets are recordings: it tilts the spectrum."""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from torch import nn

from vctool.features.base import Features
from vctool.models import base
from vctool.models.base import Condition, NoOptions, Reference


class System(base.System):
    """Gives a recording the mean log-mel of its reference; learns nothing."""

    Config = NoOptions
    takes_reference = True
    only_references = True
    heard: ClassVar[list[int]] = []
    """Frames of what `reference` was given, call after call."""

    @classmethod
    def reads(cls, config: Any) -> tuple[str, ...]:
        return ("mel",)

    writes = reads

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        return {}

    def reference(self, recordings: Iterable[Features]) -> Reference:
        whole = np.concatenate([one["mel"] for one in recordings])
        self.heard.append(len(whole))
        return {"mean": whole.mean(axis=0)}

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        assert to is None and condition.reference is not None
        mel = source["mel"]
        return {"mel": mel + condition.reference["mean"] - mel.mean(axis=0)}

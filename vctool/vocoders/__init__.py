"""Features to waveforms, one vocoder per file: the file is the registry."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vctool.config import suggest
from vctool.errors import ConfigError
from vctool.features.settings import FeatureConfig

if TYPE_CHECKING:  # listing the vocoders must not load what they run on
    import numpy as np


class Vocoder(Protocol):
    """What every `vctool/vocoders/NAME.py` has to offer in its class `Vocoder`."""

    kind: str
    """The kind of features that it turns into sound: `mel` or `world`."""

    def accepts(self, config: FeatureConfig, kinds: Sequence[str]) -> None:
        """Raise a ConfigError in one line unless it can turn these features into sound."""

    def synthesise(
        self, features: "Mapping[str, np.ndarray]", config: FeatureConfig, samples: int
    ) -> "np.ndarray":
        """Turn features by kind, each (F, D), into a wave (samples,) float32, not clipped."""


def names() -> list[str]:
    """Name the vocoders: the files beside this one."""
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem != "__init__")


def get(name: str) -> Vocoder:
    """Return a vocoder.

    Raises:
        ConfigError: there is no such vocoder; the nearest name is suggested.
    """
    if name not in names():
        raise ConfigError(f"vocoder: no vocoder '{name}'{suggest(name, names())}")
    vocoder: Vocoder = importlib.import_module(f"vctool.vocoders.{name}").Vocoder()
    return vocoder

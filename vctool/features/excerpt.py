"""A piece of sound with a cache of its analyses.

Several kinds of features need the same analysis, such as the F0 search, and a recording that is
analysed whole is scanned first. The cache keeps anything from being computed twice.
"""

from collections.abc import Callable, Hashable
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from vctool.features import world
from vctool.features.base import F0Range
from vctool.features.settings import FeatureConfig

P = ParamSpec("P")
T = TypeVar("T")


class Excerpt:
    """A recording, or a part of one.

    Args:
        wave: (T,) float32 at the config's rate.
        config: the settings of its features.
    """

    def __init__(self, wave: np.ndarray, config: FeatureConfig) -> None:
        self.wave = wave
        self.config = config
        self._found: dict[Hashable, Any] = {}

    def once(
        self,
        analyse: Callable[Concatenate[np.ndarray, FeatureConfig, P], T],
        *args: P.args,
        **settings: P.kwargs,
    ) -> T:
        """Return `analyse(wave, config, ...)`, computed at the first call and cached.

        The result is shared between callers, which must not write into it.
        """
        key = (analyse, args, tuple(sorted(settings.items())))
        if key not in self._found:
            self._found[key] = analyse(self.wave, self.config, *args, **settings)
        found: T = self._found[key]
        return found

    def f0(self, f0_range: F0Range) -> np.ndarray:
        """Return F0 searched in a range: (F,) float32 [Hz], 0 where unvoiced."""
        found = self.once(world.find_f0, *f0_range)
        return found[: self.config.frames(len(self.wave))].astype(np.float32)

"""The WORLD vocoder: coded F0, envelope and aperiodicity to wave."""

from collections.abc import Mapping, Sequence

import numpy as np

from vctool.features import world
from vctool.features.settings import FeatureConfig
from vctool.vocoders.stored.agreement import require_kind


class Vocoder:
    """WORLD features to wave; uses the F0 that a model writes."""

    reads: tuple[str, ...] = ("world",)
    """The kinds of features that it turns into sound."""
    features: FeatureConfig | None = None
    """It has no weights, and takes all features that it accepts."""

    def accepts(self, config: FeatureConfig, kinds: Sequence[str]) -> None:
        """Refuse features that it cannot turn into sound.

        Raises:
            ConfigError: they hold no `world`, or a longer coded envelope than WORLD's FFT allows.
        """
        require_kind("world", self.reads[0], kinds)
        world.require_codable(config)

    def synthesise(
        self, features: Mapping[str, np.ndarray], config: FeatureConfig, samples: int
    ) -> np.ndarray:
        """Turn `features["world"]`, (F, D), into a wave (samples,) float32."""
        return world.synthesise(features["world"], config, samples)

"""Pass-through vocoder for features that are sound already, as vocoder families write them."""

from collections.abc import Mapping, Sequence

import numpy as np

from vctool.features import framing
from vctool.features.settings import FeatureConfig
from vctool.vocoders.stored.agreement import require_kind


class Vocoder:
    """Joins frames of sound to a wave."""

    reads: tuple[str, ...] = ("wave",)
    """The kinds of features that it turns into sound."""
    features: FeatureConfig | None = None
    """It has no weights, and takes all features that it accepts."""

    def accepts(self, config: FeatureConfig, kinds: Sequence[str]) -> None:
        """Refuse features that hold no sound.

        Raises:
            ConfigError: there is no `wave` among them.
        """
        require_kind("wave", self.reads[0], kinds)

    def synthesise(
        self, features: Mapping[str, np.ndarray], config: FeatureConfig, samples: int
    ) -> np.ndarray:
        """Join `features["wave"]`, (F, hop_length), to a wave (samples,) float32."""
        return framing.unframe(features["wave"], samples)

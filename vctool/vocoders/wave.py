"""No vocoder at all: features that are sound already, as systems that are vocoders write."""

from collections.abc import Mapping, Sequence

import numpy as np

from vctool.errors import ConfigError
from vctool.features import framing
from vctool.features.settings import FeatureConfig


class Vocoder:
    """Frames of sound to sound."""

    kind = "wave"
    """The kind of features that it turns into sound."""

    def accepts(self, config: FeatureConfig, kinds: Sequence[str]) -> None:
        """Refuse features that hold no sound.

        Raises:
            ConfigError: there is no `wave` among them.
        """
        if self.kind not in kinds:
            raise ConfigError(
                f"vocoder: wave needs 'wave' features, this model writes {', '.join(kinds)}"
            )

    def synthesise(
        self, features: Mapping[str, np.ndarray], config: FeatureConfig, samples: int
    ) -> np.ndarray:
        """Join `features["wave"]`, (F, hop_length), to a wave (samples,) float32."""
        return framing.unframe(features[self.kind], samples)

"""A vocoder that makes no sound of its own: the source's, each frame as loud as the mel asks."""

from collections.abc import Mapping, Sequence

import numpy as np

from vctool.features import framing
from vctool.features.mel import log_mel
from vctool.features.settings import FeatureConfig
from vctool.vocoders.stored.agreement import require_kind


class Vocoder:
    """Log-mel and the source's sound to sound."""

    reads = ("mel", "wave")
    features: FeatureConfig | None = None

    def accepts(self, config: FeatureConfig, kinds: Sequence[str]) -> None:
        require_kind("loudness", "mel", kinds)

    def synthesise(
        self, features: Mapping[str, np.ndarray], config: FeatureConfig, samples: int
    ) -> np.ndarray:
        wave = framing.unframe(features["wave"], samples)
        asked = features["mel"].mean(axis=1)
        gain_db = (asked - log_mel(wave, config).mean(axis=1)).clip(-12, 12)
        middles = np.arange(len(gain_db)) * config.hop_length
        gain = 10 ** (np.interp(np.arange(samples), middles, gain_db) / 20)
        return (gain * wave).astype(np.float32)

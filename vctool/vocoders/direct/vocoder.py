"""The vocoder `direct`: what a model changes in WORLD features, applied to the source's wave."""

from collections.abc import Mapping, Sequence

import numpy as np

from vctool.features import framing, world
from vctool.features.settings import FeatureConfig
from vctool.vocoders.direct.modification import modify
from vctool.vocoders.direct.shaping import hold_level, shape
from vctool.vocoders.stored.agreement import require_kind

LOWEST_HZ = 60.0
"""Gains fade to 0 dB from here down to 0 Hz, so that no offset is raised with the voice [Hz]."""


class Vocoder:
    """WORLD features that a model writes, with the source's F0 and wave, to wave.

    The source's envelope is analysed and coded as the model's was, so what coding loses cancels.
    Voicing and aperiodicity are those of the source's wave, whatever the model writes.
    """

    reads: tuple[str, ...] = ("world", "pitch", "wave")
    """What the model changes; and the source's F0 and sound, which come from the source."""
    features: FeatureConfig | None = None
    """It has no weights, and takes all features that it accepts."""

    def accepts(self, config: FeatureConfig, kinds: Sequence[str]) -> None:
        """Refuse features that it cannot apply.

        Raises:
            ConfigError: they hold no `world`, or a longer coded envelope than WORLD's FFT allows.
        """
        require_kind("direct", self.reads[0], kinds)
        world.require_codable(config)

    def synthesise(
        self, features: Mapping[str, np.ndarray], config: FeatureConfig, samples: int
    ) -> np.ndarray:
        """Apply `features["world"]`, (F, D), to the source: a wave (samples,) float32."""
        frames, source_f0 = features["wave"], features["pitch"][:, 0]
        # The source ends where the output does, unless only a part of the output is asked for.
        whole = frames.size - config.hop_length // 2
        part = config.frames(samples) < len(frames)
        wave = framing.unframe(frames, whole if part else min(samples, whole))
        target_f0, envelope, _ = world.split(features["world"], config)
        own = world.analyse_envelope(wave, config, source_f0)
        gain_db = world.envelope_gain_db(envelope - own, config)
        if len(gain_db) > 1:
            # the end of the sound, of which the last frame knows, is not in `wave`
            gain_db[-1] = gain_db[-2]
        gain_db *= np.minimum(np.linspace(0, config.rate / 2, gain_db.shape[1]) / LOWEST_HZ, 1.0)
        moved = modify(wave, config.rate, config.hop_length, source_f0, target_f0)
        made = moved
        if gain_db.any():
            before, after = (
                10 * np.log10(world.decode_envelope(code, config).mean(axis=1))
                for code in (own, envelope)
            )
            shaped = shape(moved, config.rate, config.hop_length, gain_db)
            made = hold_level(shaped, moved, config.hop_length, after - before).astype(np.float32)
        return np.pad(made[:samples], (0, max(0, samples - len(made))))

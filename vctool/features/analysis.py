"""What a recording is turned into before a model sees it: the same numbers as in the dump.

A dump's features depend on a whole utterance in two ways: the floor of the log-mel lies below the
utterance's own maximum, and F0 is searched in the voice's own range. A long recording is therefore
gone through once, piece by piece, before its blocks are converted.
"""

import logging
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from vctool.audio import SILENCE_DB, LevelMeter
from vctool.audio.tracks import Track, pieces
from vctool.features import chroma, framing, mel, world
from vctool.features.kinds import Features
from vctool.features.settings import FeatureConfig
from vctool.features.stats import f0_range, voiced

SILENT_SWING = 2e-4
"""Distance from the lowest to the highest sample below which a recording is silent (-80 dB peak);
an offset, as 8-bit files have, does not count."""

F0_SECONDS = 120.0
"""Voiced time after which a voice's F0 range is known well enough [s]."""


PEAK = 0.99
"""Largest magnitude that is written; louder output is lowered as a whole, never clipped."""

logger = logging.getLogger(__name__)


class Scan(NamedTuple):
    """What must be known of a whole recording before a part of it can be analysed."""

    level_db: float
    """Active level [dB of full scale]."""
    silent: bool
    """Whether there is nothing to hear."""
    mel_peak_db: float
    """Maximum of the log-mel [dB]; minus infinity where no mel is read."""
    f0_floor: float
    """Lowest F0 of the voice [Hz]."""
    f0_ceil: float
    """Highest F0 of the voice [Hz]."""


def scan(track: Track, config: FeatureConfig, kinds: Sequence[str], block: int) -> Scan:
    """Go through a recording once.

    Args:
        track: the recording, at the config's rate.
        config: the feature settings.
        kinds: the kinds that will be read; `world` and `pitch` ask for the F0 range.
        block: length of a piece [samples]; a recording that is no longer is analysed whole.
    """
    meter = LevelMeter(config.rate)
    lowest, highest, peak = np.inf, -np.inf, -np.inf
    f0s: list[np.ndarray] = []
    voiced_frames = 0
    pitched = "world" in kinds or "pitch" in kinds
    for wave in pieces(track, block):
        meter.add(wave)
        lowest, highest = min(lowest, float(wave.min())), max(highest, float(wave.max()))
        if "mel" in kinds:
            peak = max(peak, float(_log_mel(wave, config).max()))
        if pitched and voiced_frames < F0_SECONDS * config.frame_rate:
            f0s.append(world.estimate_f0(wave, config))
            voiced_frames += len(voiced(f0s[-1:]))
    level = meter.level_db
    silent = highest - lowest < SILENT_SWING or level <= SILENCE_DB
    wide = (config.f0_floor, config.f0_ceil)
    # A whisper has no range of its own; the wide one finds nothing in it either.
    floor, ceil = f0_range(f0s, config) if voiced_frames else wide
    return Scan(level, silent, peak, floor, ceil)


def voice_features(
    wave: np.ndarray, kinds: Sequence[str], config: FeatureConfig, known: Scan
) -> Features:
    """Analyse a recording, or a block of one.

    Args:
        wave: (T,) at the config's rate.
        kinds: out of `mel`, `world`, `pitch`, `chroma`, `wave`.
        config: the feature settings.
        known: the scan of the whole recording.

    Returns:
        By kind (F, D) float32, F = 1 + T // hop_length.
    """
    result: Features = {}
    for kind in kinds:
        if kind == "mel":
            level = _log_mel(wave, config)
            result[kind] = np.maximum(level, np.float32(known.mel_peak_db - config.top_db))
        elif kind == "world":
            result[kind] = world.analyse(wave, config, known.f0_floor, known.f0_ceil)
        elif kind == "pitch":
            f0 = world.estimate_f0(wave, config, known.f0_floor, known.f0_ceil)
            result[kind] = f0[:, None]
        elif kind == "wave":
            result[kind] = framing.frame(wave, config)
        else:
            assert kind == "chroma", f"no such kind of feature: {kind}"
            result[kind] = chroma.chroma(wave, config)
    return result


def level_gain(known: Scan, level_db: float, peak: float) -> float:
    """Return the gain that makes an output as loud as its input, as far as its peak allows.

    Args:
        known: the scan of the input.
        level_db: active level of the output [dB of full scale].
        peak: largest magnitude of the output.
    """
    if known.silent or peak == 0:
        return 1.0
    if level_db <= SILENCE_DB:
        logger.warning("the model's output is silent although its input is not")
        return 1.0
    gain: float = 10 ** ((known.level_db - level_db) / 20)
    if gain * peak > PEAK:
        lowered = 20 * math.log10(gain * peak / PEAK)
        logger.info("the output is %.1f dB softer than the input, so as not to clip", lowered)
        gain = PEAK / peak
    return gain


def voicing(wave: np.ndarray, features: Features, config: FeatureConfig, known: Scan) -> np.ndarray:
    """Tell which frames are voiced, from features that hold F0 or else from the wave: (F,) bool."""
    if "world" in features:
        return features["world"][:, 0] > 0
    if "pitch" in features:
        return features["pitch"][:, 0] > 0
    f0: np.ndarray = world.estimate_f0(wave, config, known.f0_floor, known.f0_ceil)
    return f0 > 0


def voice_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """Keep the kinds that are read from a voice."""
    return tuple(kind for kind in kinds if not kind.startswith("accomp_"))


def accompaniment_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """Keep the kinds that are read from an accompaniment, without their prefix."""
    return tuple(kind.removeprefix("accomp_") for kind in kinds if kind.startswith("accomp_"))


def _log_mel(wave: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Return the log-mel of a wave without a floor of its own: (F, n_mels) float32 [dB]."""
    with torch.no_grad():
        power = mel.mel_power(torch.from_numpy(np.ascontiguousarray(wave)), config)
        level: np.ndarray = mel.power_to_db(power).T.contiguous().numpy()
    return level

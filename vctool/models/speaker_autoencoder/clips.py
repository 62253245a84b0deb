"""Training clips: sound of a voice, and other sound of the same voice that tells who it is."""

from collections.abc import Mapping

import numpy as np

from vctool.data import vocoder_clips
from vctool.data.batches import Role, UnpairedClips
from vctool.data.feature_set import FeatureSet
from vctool.features.settings import FeatureConfig

SILENT_DB = 40.0
"""Frames this far below the loudest of a recording are silence at its ends [dB]."""
MARGIN = 4
"""Frames of it that are kept."""
SETUP_CLIPS = 12
"""Clips of every voice that its embedding and timbre are measured on."""


def voice_names(roles: tuple[str, ...], speeds: tuple[float, ...]) -> list[str]:
    """Name the voices of training: every role at every speed."""
    return [f"{role} x{speed:g}" for role in roles for speed in speeds]


def draw(
    sets: Mapping[str, FeatureSet],
    features: FeatureConfig,
    frames: int,
    batch_size: int,
    seed: int,
    speeds: tuple[float, ...],
    voices: int,
) -> UnpairedClips:
    """Draw clips of some voices; `condition` is another clip of the same voice.

    Args:
        sets: utterances by role.
        features: the feature settings.
        frames: clip length [frames].
        batch_size: clips of each voice.
        seed: seed of everything drawn.
        speeds: how fast recordings are played: each speed of a role is a voice.
        voices: voices in a batch.
    """
    played: dict[int, float] = {}
    roles = {}
    for role, utterances in sets.items():
        for speed in speeds:
            own = utterances.subset(lambda one: True)  # told apart by its identity
            played[id(own)] = speed
            roles[f"{role} x{speed:g}"] = Role(own, own)

    def sound(utterances: FeatureSet, name: str) -> np.ndarray:
        parts = {"wave": utterances.load(name, "wave")}
        speed = played[id(utterances)]
        if speed != 1.0:
            parts = vocoder_clips.at_speed(parts, speed, features)
        return _padded(trimmed(parts["wave"]), frames)

    return UnpairedClips(
        roles, sound, sound, frames, batch_size, seed, SETUP_CLIPS, roles_per_batch=voices
    )


def trimmed(frames: np.ndarray) -> np.ndarray:
    """Cut silence off both ends of a recording (F, hop)."""
    power = np.square(frames).mean(axis=1)
    sounding = np.flatnonzero(power > power.max() * 10 ** (-SILENT_DB / 10))
    if not len(sounding):
        return frames
    return frames[max(sounding[0] - MARGIN, 0) : sounding[-1] + 1 + MARGIN]


def _padded(frames: np.ndarray, least: int) -> np.ndarray:
    """Append silence: sound that is reflected has kinks that no voice has."""
    return np.pad(frames, ((0, max(0, least - len(frames))), (0, 0)))

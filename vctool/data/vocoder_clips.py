"""Clips of features and of the sound that they were made from, cut at one place.

What trains a vocoder is the same for all: mel in, sound out, all voices alike. Voices can be had
from others by playing them faster or slower (Ko et al., "Audio augmentation for speech
recognition", 2015), which moves their pitch and their formants.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from vctool import audio
from vctool.data.batches import Clips, Role, UnpairedClips
from vctool.data.feature_set import FeatureSet
from vctool.errors import ConfigError, DataError
from vctool.features import base as registry
from vctool.features import framing
from vctool.features.mel import log_mel
from vctool.features.settings import FeatureConfig


def require_long(frames: int, features: FeatureConfig, sizes: Sequence[int]) -> None:
    """See that clips are as long as the FFTs of the losses that they get.

    Args:
        frames: clip length [frames].
        features: the feature settings.
        sizes: `model.stft_sizes` [samples].

    Raises:
        ConfigError: an FFT is longer than a clip.
    """
    samples = frames * features.hop_length
    if max(sizes, default=0) > samples:
        raise ConfigError(
            f"model.stft_sizes: an FFT of {max(sizes)} samples is longer than a clip of "
            f"model.segment_frames = {frames}, {samples} samples; raise the one or lower the other"
        )


def draw(
    sets: Mapping[str, FeatureSet],
    kinds: Sequence[str],
    features: FeatureConfig,
    frames: int,
    batch_size: int,
    seed: int,
    speeds: Sequence[float] = (1.0,),
) -> UnpairedClips:
    """Choose clips of all kinds at once, from utterances that are long enough.

    Args:
        sets: utterances by role.
        kinds: out of `mel`, `pitch` and `wave`; their columns stand side by side in `Clips.voice`.
        features: the feature settings.
        frames: clip length [frames].
        batch_size: clips of each role at each speed.
        seed: seed of everything drawn.
        speeds: how fast the recordings are played; each is a role of its own.

    Raises:
        DataError: no utterance of a role is as long as a clip.
    """
    played: dict[int, float] = {}

    def together(utterances: FeatureSet, name: str) -> np.ndarray:
        parts = {kind: utterances.load(name, kind) for kind in kinds}
        speed = played[id(utterances)]
        if speed != 1.0:
            parts = at_speed(parts, speed, features)
        return np.concatenate(list(parts.values()), axis=1)

    roles = {}
    for role, utterances in sets.items():
        for speed in speeds:
            # A reflected wave has kinks that no voice has, so short ones are left out.
            least = round(frames * max(speed, 1.0)) + 1
            long = _at_least(utterances, least)
            if not len(long):
                raise DataError(
                    f"{utterances.path}: no utterance of role '{role}' is as long as a clip of "
                    f"{frames} frames; lower model.segment_frames"
                )
            played[id(long)] = speed
            roles[f"{role} x{speed:g}"] = Role(long)
    return UnpairedClips(roles, together, None, frames, batch_size, seed)


def _at_least(utterances: FeatureSet, frames: int) -> FeatureSet:
    return utterances.subset(lambda one: utterances.frames(one.id) >= frames)


def at_speed(
    parts: Mapping[str, np.ndarray], speed: float, config: FeatureConfig
) -> dict[str, np.ndarray]:
    """Return the features that an utterance has when it is played faster or slower.

    Args:
        parts: by kind (F, D), `wave` among them.
        speed: 2 halves the time and doubles every frequency.
        config: the feature settings.
    """
    frames = parts["wave"]
    wave = framing.unframe(frames, len(frames) * config.hop_length - config.hop_length // 2)
    wave = audio.resample(wave, round(config.rate * speed), config.rate)
    made: dict[str, np.ndarray] = {}
    for kind, values in parts.items():
        if kind == "wave":
            made[kind] = framing.frame(wave, config)
        elif kind == "mel":
            made[kind] = log_mel(wave, config)
        else:
            assert kind == "pitch", kind
            place = np.round(np.arange(config.frames(len(wave))) * speed).astype(int)
            made[kind] = speed * values[np.minimum(place, len(values) - 1)]
    return made


def join(batch: Mapping[str, Clips], sizes: Sequence[int]) -> tuple[list[Tensor], Tensor]:
    """Put the roles of a batch together and take its kinds apart.

    Args:
        batch: as `draw`'s clips are.
        sizes: columns of each kind.

    Returns:
        (B, D, F) of each kind, and the examples' keys (B,).
    """
    together = torch.cat([clips.voice for clips in batch.values()])
    key = torch.cat([clips.key for clips in batch.values()])
    assert together.shape[1] == sum(sizes), (together.shape, sizes)
    return list(together.split(list(sizes), dim=1)), key


def to_wave(frames: Tensor) -> Tensor:
    """Join frames of sound (B, hop_length, F) to waves (B, F * hop_length)."""
    return frames.transpose(1, 2).flatten(1)


def columns(kinds: Sequence[str], features: FeatureConfig) -> list[int]:
    """Count the columns of each kind."""
    return [registry.get(kind).width(features) for kind in kinds]


def middle(frames: int, judged: int, hop: int) -> slice:
    """Return the samples of the middle `judged` frames of a clip of `frames` frames.

    >>> middle(64, 16, 100)
    slice(2400, 4000, None)
    """
    judged = min(judged, frames)
    start = (frames - judged) // 2
    return slice(start * hop, (start + judged) * hop)

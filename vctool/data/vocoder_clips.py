"""Clips of features and of the sound that they were made from, cut at one place.

What trains a vocoder is the same for all: mel in, sound out, all voices alike.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from vctool.data.batches import Clips, Role, UnpairedClips
from vctool.data.feature_set import FeatureSet
from vctool.errors import DataError
from vctool.features.settings import FeatureConfig


def draw(
    sets: Mapping[str, FeatureSet],
    kinds: Sequence[str],
    frames: int,
    batch_size: int,
    seed: int,
) -> UnpairedClips:
    """Choose clips of all kinds at once, from utterances that are long enough.

    Args:
        sets: utterances by role.
        kinds: the kinds, whose columns stand side by side in `Clips.voice`.
        frames: clip length [frames].
        batch_size: clips of each role.
        seed: seed of everything drawn.

    Raises:
        DataError: no utterance of a role is as long as a clip.
    """

    def together(utterances: FeatureSet, name: str) -> np.ndarray:
        return np.concatenate([utterances.load(name, kind) for kind in kinds], axis=1)

    roles = {}
    for role, utterances in sets.items():
        # A reflected wave has kinks that no voice has, so short ones are left out.
        long = utterances.subset(lambda one, own=utterances: own.frames(one.id) >= frames)
        if not len(long):
            raise DataError(
                f"{utterances.path}: no utterance of role '{role}' is as long as a clip of "
                f"{frames} frames; lower model.segment_frames"
            )
        roles[role] = Role(long)
    return UnpairedClips(roles, together, None, frames, batch_size, seed)


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
    known = {"mel": features.n_mels, "pitch": 1, "wave": features.hop_length}
    return [known[kind] for kind in kinds]


def middle(frames: int, judged: int, hop: int) -> slice:
    """Return the samples of the middle `judged` frames of a clip of `frames` frames.

    >>> middle(64, 16, 100)
    slice(2400, 4000, None)
    """
    judged = min(judged, frames)
    start = (frames - judged) // 2
    return slice(start * hop, (start + judged) * hop)

"""Convert between features on disk and the channels of a generator."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vctool.features import mcep, search, stats, world
from vctool.features.base import Features
from vctool.features.phones import PHONES
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats

LOUD_PERCENTILE = 95.0
"""The level of an utterance is this percentile of its frames' levels."""
LARGEST_WARP, WARPS = 0.2, 11
"""Strongest all-pass constant of `warp_matrices`, and steps from there to its opposite; vocal
tracts that differ by 20 % in length are at 0.1."""
ACTIVE_DB = 40.0
"""Frames further than this below the level of their utterance are silence [dB]."""
TOLD = len(PHONES) + 1
"""Channels that a generator is told with `guide: phones`."""
TOLD_GAIN = 2.0
"""Gain of the posteriors' square roots, which brings their power near that of other channels."""


class Searched(NamedTuple):
    """Weights of a description beside the posteriors; those of knn_vc."""

    cepstra_weight: float = 0.3
    voicing_weight: float = 2.0


SEARCHED = Searched()


def spectrum(
    features: np.ndarray, voice: Literal["mcep", "mel"], config: FeatureConfig
) -> np.ndarray:
    """Return the part of `world` or `mel` features that is converted: (F, D) float32.

    Mel-cepstra c_0 .. c_M, or log-mel bands [dB].
    """
    return world.split(features, config)[1] if voice == "mcep" else features


def said(features: Features, config: FeatureConfig) -> np.ndarray:
    """Describe what is said in every frame: (F, search.WIDTH) float32, whatever the voice.

    Frames that `search` leaves out have the description of the one before.
    """
    part, every = search.frames(features, config), search.stride(config)
    norm = search.normalisation([part if part.active.any() else part._replace(active=~part.active)])
    described = search.described(part, norm, config, *SEARCHED)
    return np.repeat(described, every, axis=0)[: len(features["world"])]


def heard(described: Tensor) -> Tensor:
    """Take the channels that a generator is told: (B, search.WIDTH, F) to (B, TOLD, F).

    They are the square roots of the phone posteriors of the moment, and whether it is voiced.
    """
    now = len(PHONES) * (len(search.AROUND_SECONDS) // 2)
    roots = described[:, now : now + len(PHONES)] * TOLD_GAIN
    return torch.cat([roots, described[:, -1:] / SEARCHED.voicing_weight], dim=1)


def level(values: np.ndarray, voice: Literal["mcep", "mel"]) -> float:
    """Return an utterance's level in the unit of `values` (F, D): c_0, or dB."""
    loudness = values[:, 0] if voice == "mcep" else values.max(axis=1)
    return float(np.percentile(loudness, LOUD_PERCENTILE))


def active(values: Tensor, voice: Literal["mcep", "mel"]) -> Tensor:
    """Mark the frames with speech, in segments (B, D, F) relative to their level: (B, F) bool."""
    if voice == "mcep":
        return values[:, 0] > -ACTIVE_DB * np.log(10.0) / 20.0
    return values.amax(dim=1) > -ACTIVE_DB


def shift_level(values: np.ndarray, voice: Literal["mcep", "mel"], offset: float) -> np.ndarray:
    """Raise the level of (F, D) by an offset: of c_0 alone, or of all bands."""
    if voice == "mel":
        return (values + offset).astype(np.float32)
    moved = values.astype(np.float32, copy=True)
    moved[:, 0] += offset
    return moved


def move_f0(f0: np.ndarray, source: SpeakerStats, target: SpeakerStats) -> np.ndarray:
    """Give F0 (F,) [Hz] the target's mean and deviation of log-F0; unvoiced frames stay 0."""
    ratio = target.log_f0_std / source.log_f0_std
    moved = stats.move_f0(f0, source.log_f0_mean, 1.0, target.log_f0_mean, ratio)
    return moved.astype(np.float32)


def warp_matrices(voice: Literal["mcep", "mel"], size: int) -> np.ndarray:
    """Return linear maps that warp the frequency axis by an all-pass, for all of its constants.

    Args:
        voice: what is warped; both are on a mel-like axis.
        size: D, channels.

    Returns:
        (WARPS, D, D) float32; negative constants move formants up, as a shorter vocal tract does,
        and positive ones move them down. The middle one is the identity.
    """
    axis = np.linspace(0.0, np.pi, 8 * size + 1)
    centres = (np.arange(size) + 0.5) * np.pi / size
    maps = []
    for alpha in np.linspace(-LARGEST_WARP, LARGEST_WARP, WARPS):
        if voice == "mcep":
            series = np.cos(np.arange(size)[:, None] * mcep.warp(axis, alpha))  # at warped places
            maps.append(mcep.encode(np.exp(2.0 * series), size - 1, 0.0).T)
        else:
            place = mcep.warp(centres, alpha) * size / np.pi - 0.5
            at = np.clip(place, 0.0, size - 1.0)
            maps.append(np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(size))))
    return np.stack(maps).astype(np.float32)

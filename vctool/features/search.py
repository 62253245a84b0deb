"""The search for frames in which two voices say the same.

A frame is described by the square roots of its phone posteriors, now and around it, whose Euclidean
distance is Hellinger's; by its mel-cepstra without c0, normalised by the mean and deviation of the
voice, and their slope; and by whether it is voiced.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vctool.features import world
from vctool.features.base import Features
from vctool.features.phones import CEPSTRA, PHONES
from vctool.features.settings import FeatureConfig

STEP_SECONDS = 0.01
"""Frames are searched this far apart, about."""
AROUND_SECONDS = (-0.06, 0.0, 0.06)
"""Moments whose posteriors describe a frame."""
SLOPE_SECONDS = 0.03
"""Half of the distance that the slope of the cepstra is taken over."""
ACTIVE_DB = 45.0
"""Frames further than this below the level of their recording are silence [dB]."""
LOUD_PERCENTILE = 95.0
"""The level of a recording is this percentile of the levels of its frames."""
BELOW_ACTIVE_DB = 10.0
"""But at most this far below the same percentile of those within `ACTIVE_DB` of the loudest [dB]:
one word in a minute of silence is no minute of sound."""
WIDEST = 4.0
"""Normalised cepstra are limited to this."""
WIDTH = len(AROUND_SECONDS) * len(PHONES) + 2 * (CEPSTRA - 1) + 1
"""Numbers that describe a frame."""
RIDGE_SECONDS = 0.02
"""A phone's own mean counts as much as the recording's after about this time."""
ROWS = 256
"""Frames that are searched at once, which bounds memory."""

_C0_PER_DB = 0.5 * np.log(10)
"""c0 is five times the mean natural log power of 25 bands."""


class Frames(NamedTuple):
    """Every n-th frame of one recording, or of a part of one."""

    posteriors: np.ndarray
    """(N, 40)."""
    cepstra: np.ndarray
    """(N, 12), c0 left out, not normalised."""
    active: np.ndarray
    """(N,) bool: whether the frame sounds."""
    f0: np.ndarray
    """(N,) [Hz], 0 where unvoiced."""
    envelope: np.ndarray
    """(N, D), WORLD's, coded."""


class Norm(NamedTuple):
    """Mean and deviation of a voice's cepstra, each (12,)."""

    mean: np.ndarray
    std: np.ndarray


def stride(config: FeatureConfig) -> int:
    """Return the number of frames between those that are searched."""
    return max(1, round(STEP_SECONDS * config.rate / config.hop_length))


def frames(features: Features, config: FeatureConfig) -> Frames:
    """Take every n-th frame of `world`, `phones` and `mfcc` features."""
    every = slice(None, None, stride(config))
    f0, envelope, _ = world.split(features["world"], config)
    level = features["mfcc"][:, 0]
    near = level[level >= level.max() - ACTIVE_DB * _C0_PER_DB]
    whole, heard = (np.percentile(one, LOUD_PERCENTILE) for one in (level, near))
    loud = max(whole, heard - BELOW_ACTIVE_DB * _C0_PER_DB)
    active = level > loud - ACTIVE_DB * _C0_PER_DB
    return Frames(
        features["phones"][every],
        features["mfcc"][every, 1:],
        active[every],
        f0[every],
        envelope[every],
    )


def normalisation(recordings: Sequence[Frames]) -> Norm:
    """Measure the cepstra of a voice, over the frames that sound."""
    cepstra = np.concatenate([one.cepstra[one.active] for one in recordings]).astype(np.float64)
    return Norm(cepstra.mean(axis=0), cepstra.std(axis=0) + 1e-3)


def described(
    one: Frames, norm: Norm, config: FeatureConfig, cepstra_weight: float, voicing_weight: float
) -> np.ndarray:
    """Describe the frames of a recording: (N, WIDTH) float32."""
    rate = config.rate / (config.hop_length * stride(config))
    count = len(one.f0)

    def shifted(values: np.ndarray, seconds: float) -> np.ndarray:
        return values[np.clip(np.arange(count) + round(seconds * rate), 0, count - 1)]

    roots = np.sqrt(np.maximum(one.posteriors, 0.0) / len(AROUND_SECONDS))
    cepstra = np.clip((one.cepstra - norm.mean) / norm.std, -WIDEST, WIDEST)
    cepstra = cepstra * (cepstra_weight / np.sqrt(cepstra.shape[1]))
    slope = shifted(cepstra, SLOPE_SECONDS) - shifted(cepstra, -SLOPE_SECONDS)
    voiced = voicing_weight * (one.f0 > 0)[:, None]
    around = [shifted(roots, seconds) for seconds in AROUND_SECONDS]
    return np.concatenate([*around, cepstra, slope, voiced], axis=1).astype(np.float32)


def mean_of_nearest(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    count: int,
    nearness: Tensor | None = None,
) -> Tensor:
    """Average the values of the nearest keys of every query: (N, D).

    Args:
        queries: (N, WIDTH).
        keys: (M, WIDTH), at least one.
        values: (M, D).
        count: how many keys are nearest.
        nearness: (M,), what `nearness` returned for the keys, which corrects for hubs.
    """
    found = []
    for start in range(0, len(queries), ROWS):
        distance = torch.cdist(queries[start : start + ROWS], keys)
        if nearness is not None:
            distance -= nearness
        nearest = distance.topk(min(count, len(keys)), dim=1, largest=False).indices
        found.append(values[nearest].mean(dim=1))
    return torch.cat(found)


def nearness(keys: Tensor, queries: Tensor, count: int) -> Tensor:
    """Return how near every key is to its own nearest queries: (M,), mean distances.

    In many dimensions a few keys, called hubs, are among the nearest of far too many queries.
    Cross-domain similarity local scaling (Conneau et al., 2018) takes from a distance what both its
    ends are usually away; the query's own part is the same for all keys.

    Args:
        keys: (M, WIDTH).
        queries: (N, WIDTH), of all that will be asked, at least one.
        count: how many queries are nearest.
    """
    count = min(count, len(queries))
    return torch.cat(
        [
            torch.cdist(part, queries).topk(count, dim=1, largest=False).values.mean(dim=1)
            for part in keys.split(ROWS)
        ]
    )


def explained(posteriors: np.ndarray, envelope: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Return the part of a recording's envelopes that its phones explain: a ridge regression.

    With few frames of a phone it tends to the recording's mean envelope.

    Args:
        posteriors: (N, P).
        envelope: (N, D).
        active: (N,) bool: the frames that count, at least one.

    Returns:
        (N, D) float64.
    """
    told, wanted = posteriors[active].astype(np.float64), envelope[active].astype(np.float64)
    centre, mean = told.mean(axis=0), wanted.mean(axis=0)
    told = told - centre
    penalty = RIDGE_SECONDS / STEP_SECONDS * np.eye(told.shape[1])
    weights = np.linalg.solve(told.T @ told + penalty, told.T @ (wanted - mean))
    return np.asarray((posteriors - centre) @ weights + mean)

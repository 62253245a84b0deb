"""F0 statistics and search ranges, estimated from each speaker's own recordings.

The range follows the two passes of de Looze and Hirst (2008): after a wide first pass, multiples
of the first and third quartile of the voiced frames, kept inside the wide range. Their factors,
0.75 and 1.5, are meant for speech and cut off up to 5 % of a singer's frames. The factors here keep
those frames and still exclude octave errors, at half the first quartile and twice the third.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from pydantic import Field

from vctool.config import Config
from vctool.errors import DataError
from vctool.features.settings import FeatureConfig

A = TypeVar("A")

FLOOR_FACTOR, CEIL_FACTOR = 0.6, 1.75
"""Floor of the range over the first quartile, and ceiling over the third."""

LEAST_STD = 0.01
"""Least standard deviation of log-F0 (a sixth of a semitone), so that it can be divided by."""


class SpeakerStats(Config):
    """F0 statistics of one voice: natural log of F0 in Hz over voiced frames."""

    log_f0_mean: float
    """Mean of log-F0 [log Hz]."""
    log_f0_std: float = Field(gt=0)
    """Standard deviation of log-F0 [log Hz], at least `LEAST_STD`."""
    f0_floor: float = Field(gt=0)
    """Lowest F0 that is searched for [Hz]."""
    f0_ceil: float = Field(gt=0)
    """Highest F0 that is searched for [Hz]."""
    voiced_frames: int = Field(ge=1)
    """Number of voiced frames behind the statistics."""


def voiced(f0s: Iterable[np.ndarray]) -> np.ndarray:
    """Join F0 contours [Hz, 0 unvoiced] and keep the voiced frames: (N,) float64."""
    kept = [np.asarray(f0, dtype=np.float64).ravel() for f0 in f0s]
    joined = np.concatenate(kept) if kept else np.zeros(0)
    return joined[joined > 0]


def f0_range(f0s: Iterable[np.ndarray], config: FeatureConfig) -> tuple[float, float]:
    """Return a voice's own search range [Hz] from contours of the wide first pass.

    Args:
        f0s: contours (F,) [Hz], 0 where unvoiced.
        config: the settings, whose `f0_floor` and `f0_ceil` bound the result.

    Raises:
        DataError: no frame is voiced.
    """
    frames = voiced(f0s)
    if not len(frames):
        raise DataError(f"no voiced frame between {config.f0_floor:g} and {config.f0_ceil:g} Hz")
    low, high = np.percentile(frames, [25, 75])
    floor, ceil = FLOOR_FACTOR * float(low), CEIL_FACTOR * float(high)
    return max(config.f0_floor, floor), min(config.f0_ceil, ceil)


def estimate(f0s: Iterable[np.ndarray], f0_floor: float, f0_ceil: float) -> SpeakerStats:
    """Estimate a voice's statistics from the contours found within its own range.

    Args:
        f0s: contours (F,) [Hz], 0 where unvoiced.
        f0_floor: lowest F0 that was searched for [Hz]; frames below it are left out.
        f0_ceil: highest F0 that was searched for [Hz]; frames above it are left out.

    Raises:
        DataError: no frame is voiced.
    """
    frames = voiced(f0s)
    frames = frames[(frames >= f0_floor) & (frames <= f0_ceil)]
    if not len(frames):
        raise DataError(f"no voiced frame between {f0_floor:g} and {f0_ceil:g} Hz")
    log_f0 = np.log(frames)
    return SpeakerStats(
        log_f0_mean=float(log_f0.mean()),
        log_f0_std=max(float(log_f0.std()), LEAST_STD),
        f0_floor=f0_floor,
        f0_ceil=f0_ceil,
        voiced_frames=len(frames),
    )


def move_log_f0(
    log_f0: A, mean: float, deviation: float, new_mean: float, new_deviation: float
) -> A:
    """Map log-F0 from one mean and standard deviation to others [log Hz].

    The logarithm Gaussian normalised transformation (Liu, Zhang and Yan, 2007).

    Args:
        log_f0: an array or a tensor of any shape.
        mean: mean of the source.
        deviation: standard deviation of the source; 1 where `new_deviation` is the ratio of both.
        new_mean: mean of the target.
        new_deviation: standard deviation of the target.
    """
    values: Any = log_f0
    moved: A = (values - mean) / deviation * new_deviation + new_mean
    return moved


def move_f0(
    f0: np.ndarray, mean: float, deviation: float, new_mean: float, new_deviation: float
) -> np.ndarray:
    """Map F0 (F,) [Hz] as `move_log_f0` does; unvoiced frames stay 0.

    >>> move_f0(np.array([100.0, 0.0]), np.log(100.0), 0.2, np.log(200.0), 0.3).round(6).tolist()
    [200.0, 0.0]
    """
    voiced = f0 > 0
    log_f0 = np.log(np.where(voiced, f0, 1.0))
    moved = np.exp(move_log_f0(log_f0, mean, deviation, new_mean, new_deviation))
    return np.where(voiced, moved, 0.0)


def pool(stats: Sequence[SpeakerStats]) -> SpeakerStats:
    """Combine statistics as if estimated from all frames together; the range spans all ranges.

    Raises:
        DataError: there is nothing to combine.
    """
    if not stats:
        raise DataError("no voice with F0 statistics to combine")
    counts = np.array([one.voiced_frames for one in stats], dtype=np.float64)
    means = np.array([one.log_f0_mean for one in stats])
    variances = np.array([one.log_f0_std for one in stats]) ** 2
    share = counts / counts.sum()
    mean = float(share @ means)
    variance = float(share @ (variances + (means - mean) ** 2))
    return SpeakerStats(
        log_f0_mean=mean,
        log_f0_std=max(variance**0.5, LEAST_STD),
        f0_floor=min(one.f0_floor for one in stats),
        f0_ceil=max(one.f0_ceil for one in stats),
        voiced_frames=int(counts.sum()),
    )

"""Time-stretching of features: voiced frames are stretched, unvoiced ones keep their length.

Singing lengthens vowels and leaves consonants and pauses nearly as they are. So unvoiced frames are
stretched by 1 and voiced frames by a common rate r, chosen so that the output has the requested
length:

    input frames    | p | a   a   a | t | a   a |
    rate              1   r   r   r   1   r   r        sum of rates = length of the output
    output frames   | p | a  a  a  a  a  a | t | a  a  a  a |

The voiced rate is capped, and what is then missing is spread evenly over all frames.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vctool.features import base
from vctool.features.base import Features
from vctool.features.settings import FeatureConfig
from vctool.inference.blocks import Block
from vctool.inference.request import Request
from vctool.inference.watch import Watch

LONGEST_VOICED_RATE = 3.0
"""Highest rate of voiced frames before unvoiced frames are stretched too."""

SMOOTHING = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
"""Weights that smooth voicing over neighbouring frames, so that the rate does not jump."""


class TimeMap(NamedTuple):
    """A monotone, piecewise linear map from input to output time, both in frames from the start.

    `knots_in[i]` maps to `knots_out[i]`; both start at 0 and increase strictly.
    """

    knots_in: np.ndarray
    knots_out: np.ndarray

    def positions(self, frames_out: int, frames_in: int) -> np.ndarray:
        """Return the position in the input of each output frame.

        Args:
            frames_out: number of output frames F'.
            frames_in: number of input frames F; positions are kept within it.

        Returns:
            (F',) positions in input frames, fractional, in [0, F - 1], not decreasing.
        """
        found = np.interp(np.arange(frames_out), self.knots_out, self.knots_in)
        return np.minimum(found, frames_in - 1)


def warp(voiced: np.ndarray, anchors_in: Sequence[float], anchors_out: Sequence[float]) -> TimeMap:
    """Build the map that stretches (or shortens) voiced frames first.

    Args:
        voiced: (F,) whether a frame is voiced; frame k covers the time from k to k + 1.
        anchors_in: times [frames] from 0 to the end that must map exactly to `anchors_out`;
            inner ones must be whole frames.
        anchors_out: the output times [frames], the same number, increasing.

    Returns:
        A warp through every anchor, with one knot per input frame.
    """
    assert len(anchors_in) == len(anchors_out) >= 2, (anchors_in, anchors_out)
    margin = len(SMOOTHING) // 2
    padded = np.pad(voiced.astype(np.float64), margin, mode="edge")
    weights = np.convolve(padded, SMOOTHING, mode="valid")
    knots_in, knots_out = [np.zeros(1)], [np.zeros(1)]
    for left, right, out_left, out_right in zip(
        anchors_in[:-1], anchors_in[1:], anchors_out[:-1], anchors_out[1:], strict=True
    ):
        first, last = int(left), int(np.ceil(right))
        ends = np.minimum(np.arange(first + 1, last + 1, dtype=np.float64), right)
        steps = np.diff(ends, prepend=float(left))
        # Beyond the last frame its own weight is used.
        inside = np.minimum(np.arange(first, last), len(weights) - 1)
        rates = _rates(weights[inside], steps, out_right - out_left)
        knots_in.append(ends)
        knots_out.append(out_left + np.cumsum(steps * rates))
        knots_out[-1][-1] = out_right
    return TimeMap(np.concatenate(knots_in), np.concatenate(knots_out))


def _rates(weights: np.ndarray, steps: np.ndarray, length: float) -> np.ndarray:
    """Find one rate per frame so that `sum(steps * rates) == length`.

    Args:
        weights: (F,) voicing of each frame, in [0, 1].
        steps: (F,) duration of each input frame [frames].
        length: length of the output [frames], positive.
    """
    span = float(steps.sum())
    overall = length / span
    longest = max(LONGEST_VOICED_RATE, 1.5 * overall)
    shortest = min(1 / LONGEST_VOICED_RATE, overall / 1.5)
    voiced = float((steps * weights).sum())
    excess = (length - span) / voiced if voiced > 0 else 0.0
    rates = 1 + weights * float(np.clip(excess, shortest - 1, longest - 1))
    rates *= length / float((steps * rates).sum())
    return rates


def stretched(
    features: Features,
    voiced: np.ndarray,
    block: Block,
    request: Request,
    config: FeatureConfig,
    watch: Watch,
) -> Features:
    """Stretch the features of a block as a conversion asks, and tell how moments moved.

    Args:
        features: by kind, each (F, D).
        voiced: (F,) whether a frame is voiced.
        block: where the features lie in their recording.
        request: the conversion.
        config: the feature settings.
        watch: is told how the moments of the block's core moved.
    """
    made = block_warp(voiced, block, request, config.hop_length)
    begin = request.samples(block.outer_start)
    taken = block.outer_start + made.knots_in * config.hop_length
    given = begin + made.knots_out * config.hop_length
    core = (taken >= block.start - 0.5) & (taken <= block.stop + 0.5)
    watch.moved(taken[core] / config.rate, given[core] / config.rate)
    samples = request.samples(block.outer_stop) - begin
    positions = made.positions(config.frames(samples), len(voiced))
    return resample(features, positions, config)


def block_warp(voiced: np.ndarray, block: Block, request: Request, hop: int) -> TimeMap:
    """Build the time map of one block; the ends of its core map exactly to their output times."""
    inner = sorted({block.outer_start, block.start, block.stop, block.outer_stop})
    begin = request.samples(block.outer_start)
    return warp(
        voiced,
        [(sample - block.outer_start) / hop for sample in inner],
        [(request.samples(sample) - begin) / hop for sample in inner],
    )


def resample(features: Features, positions: np.ndarray, config: FeatureConfig) -> Features:
    """Resample features at fractional frame positions, each kind by its own `stretch`.

    Args:
        features: by kind, each (F, D).
        positions: (F',) in [0, F - 1].
        config: the feature settings.

    Returns:
        The same kinds, each (F', D) float32.
    """
    return {kind: base.get(kind).stretch(one, positions, config) for kind, one in features.items()}

"""Time-stretching of features: voiced frames lengthen, unvoiced ones keep their length if they can.

Singing lengthens vowels and leaves consonants and pauses nearly as they are. So the rate of time
is 1 where a frame is unvoiced and some common rate r where it is voiced, with r chosen so that the
whole comes out at the length that was asked for:

    input frames    | p | a   a   a | t | a   a |
    rate              1   r   r   r   1   r   r        sum of rates = length of the output
    output frames   | p | a  a  a  a  a  a | t | a  a  a  a |

A rate beyond what a vowel bears is capped, and the rest is spread over everything evenly.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vctool.features import base
from vctool.features.base import Features
from vctool.features.settings import FeatureConfig

LONGEST_VOICED_RATE = 3.0
"""Rate that a voiced frame is lengthened by at most, before everything else lengthens too."""

SMOOTHING = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
"""Weights over neighbouring frames that keep the rate of time from jumping at an onset."""


class TimeMap(NamedTuple):
    """A monotone map of time between an input and an output, both in frames from the start.

    `knots_in[i]` goes to `knots_out[i]`, linear in between; both increase strictly, start at 0.
    """

    knots_in: np.ndarray
    knots_out: np.ndarray

    def positions(self, frames_out: int, frames_in: int) -> np.ndarray:
        """Return where in the input each output frame is taken from.

        Args:
            frames_out: number of output frames F'.
            frames_in: number of input frames F; positions are kept within it.

        Returns:
            (F',) positions in input frames, fractional, in [0, F - 1], not decreasing.
        """
        found = np.interp(np.arange(frames_out), self.knots_out, self.knots_in)
        return np.minimum(found, frames_in - 1)


def warp(voiced: np.ndarray, anchors_in: Sequence[float], anchors_out: Sequence[float]) -> TimeMap:
    """Build the map that lengthens (or shortens) voiced frames first.

    Args:
        voiced: (F,) whether a frame is voiced; frame k stands for the time from k to k + 1.
        anchors_in: times [frames] from 0 to the end that must go exactly to `anchors_out`;
            inner ones must be whole frames.
        anchors_out: the output times [frames], as many, increasing.

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
        # Past the last frame there is nothing to look at: it lasts until the next hop.
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
        steps: (F,) how long each input frame lasts [frames].
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


def resample(features: Features, positions: np.ndarray, config: FeatureConfig) -> Features:
    """Take features at fractional frame positions, each kind by its own rule.

    Args:
        features: by kind, each (F, D).
        positions: (F',) in [0, F - 1].
        config: the feature settings.

    Returns:
        The same kinds, each (F', D) float32.
    """
    return {kind: base.get(kind).stretch(one, positions, config) for kind, one in features.items()}

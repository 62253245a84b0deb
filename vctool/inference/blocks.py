"""Block-wise conversion of long recordings: where to cut, how much context to add, how to join.

Blocks are cut at the quietest moment near their nominal end, converted with context on both sides,
and joined by a short cross-fade around the cut:

    |  core 0  |ctx|
          |ctx|  core 1  |ctx|
               ^ cross-fade, centred on the cut
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from vctool.audio.tracks import Track

CONTEXT_SECONDS = 2.0
"""Context on either side of a block's core [s]; far beyond any receptive field here."""

FADE_SECONDS = 0.05
"""Length of the cross-fade between two blocks [s]."""

SEARCH_SHARE = 0.1
"""Share of a block, at its end, that is searched for the quietest moment."""

GRID = 64
"""Contexts start on multiples of this many frames, so that networks that downsample in time align
with frames in a block as they do in one pass over the whole recording."""


class Block(NamedTuple):
    """One block, in samples of the input: read `outer`, keep `core`."""

    outer_start: int
    start: int
    stop: int
    outer_stop: int


def plan(track: Track, block: int, hop: int, rate: int) -> list[Block]:
    """Choose the cuts of a track.

    Args:
        track: the voice.
        block: nominal length of a block [samples]; a track up to this length is one block.
        hop: frame step [samples]; cuts lie on frames.
        rate: sampling rate [Hz].

    Returns:
        Blocks whose cores cover the track from start to end without gaps.
    """
    context = round(CONTEXT_SECONDS * rate)
    search = max(hop, round(SEARCH_SHARE * block))
    cuts = [0]
    while track.samples - cuts[-1] > block:
        nominal = cuts[-1] + block
        first = -(-(nominal - search) // hop) * hop
        cuts.append(first + hop * _quietest(track.read(first, nominal), hop, rate))
    cuts.append(track.samples)
    return [
        Block(
            max(0, start - context) // (GRID * hop) * (GRID * hop),
            start,
            stop,
            min(track.samples, stop + context),
        )
        for start, stop in pairwise(cuts)
    ]


def _quietest(wave: np.ndarray, hop: int, rate: int) -> int:
    """Return the hop with the least energy around it, within the length of one cross-fade."""
    hops = max(1, len(wave) // hop)
    energy = np.square(wave[: hops * hop].reshape(hops, -1).astype(np.float64)).sum(axis=1)
    half = math.ceil(0.5 * FADE_SECONDS * rate / hop)
    around = np.convolve(np.pad(energy, half, mode="edge"), np.ones(2 * half + 1), mode="valid")
    return int(np.argmin(around))


class Joiner:
    """Joins converted blocks in order, each with a margin around its core.

    The fade is normalised by the correlation of the two sides, so that loudness stays constant
    whether they agree sample by sample or have unrelated phases: with shares a + b = 1 and
    correlation c, the sum is divided by sqrt(a^2 + b^2 + 2 a b c).

    Args:
        fade: length of the cross-fade [samples].
    """

    def __init__(self, fade: int) -> None:
        self.half = fade // 2
        self._tail = np.zeros(0, np.float32)

    def join(self, wave: np.ndarray, before: int, core: int) -> Iterator[np.ndarray]:
        """Add the next block and yield the samples that are now final.

        Args:
            wave: (T,) a converted block with its margins.
            before: samples of `wave` before its core.
            core: length of the core [samples]; what follows it is kept for the next fade.
        """
        end = before + core
        after = min(self.half, len(wave) - end)
        if not len(self._tail):
            begin = before
        else:
            # The tail covers half a fade on either side of the cut.
            width = len(self._tail)
            begin = before - width // 2
            assert begin >= 0, f"{before} samples of context are less than half a fade"
            yield crossfade(self._tail, wave[begin : begin + width])
            begin += width
        stop = end - after if after > 0 else end
        self._tail = wave[stop : end + after].copy() if after > 0 else np.zeros(0, np.float32)
        yield wave[begin:stop]


def crossfade(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Fade from one (T,) wave to another of the same length at constant loudness."""
    assert old.shape == new.shape, (old.shape, new.shape)
    power = math.sqrt(float(np.dot(old, old)) * float(np.dot(new, new)))
    alike = float(np.clip(np.dot(old, new) / power, 0.0, 1.0)) if power > 0 else 1.0
    share = np.sin(0.5 * np.pi * (np.arange(len(old)) + 0.5) / len(old)) ** 2
    level = np.sqrt((1 - share) ** 2 + share**2 + 2 * share * (1 - share) * alike)
    return (((1 - share) * old + share * new) / level).astype(np.float32)

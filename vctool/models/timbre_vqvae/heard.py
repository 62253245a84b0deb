"""Sound as the networks see it, and what they tell of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn


class Heard(NamedTuple):
    """Sound as the networks see it."""

    spectrum: Tensor
    """(B, K, F) complex."""
    level: Tensor
    """(B, 1, F) power around every frame."""
    power: Tensor
    """(B, K, F) over the level."""
    logs: Tensor
    """(B, L, F) by pitch [bel]."""
    energy: Tensor
    """(B, 1, F) log10 power of a frame over the level."""


class Told(NamedTuple):
    """What notes and an instrument tell of a sound; `timbre_glow` goes on from here."""

    codes: Tensor
    """(B, code_size, F) the notes, rounded, or vectors of the book."""
    active: Tensor
    """(B, PITCHES, F) how much each pitch sounds, rounded; of vectors (B, 0, F)."""
    style: Tensor
    """(B, style_size)."""
    power: Tensor
    """(B, K, F) what the decoder makes of both, over the level around."""


Shape = Callable[[Told], Tensor]
"""Makes powers (B, K, F), over the level around, of what is told."""


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Use a network's running statistics; its modes are restored after."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def array(values: Tensor) -> np.ndarray:
    """Return values as an array of their own, float32."""
    made: np.ndarray = values.float().cpu().numpy()
    return np.array(made, np.float32)


def most_active(frames: np.ndarray, most: int) -> np.ndarray:
    """Return the `most` frames on end of (F, hop) that have the most energy, or all."""
    if len(frames) <= most:
        return frames
    total = np.concatenate([[0.0], np.cumsum(np.square(frames, dtype=np.float64).sum(axis=1))])
    start = int(np.argmax(total[most:] - total[:-most]))
    return frames[start : start + most]

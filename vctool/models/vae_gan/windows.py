"""Cut sequences of any length into windows of the clip length, and join them by cross-fades."""

import numpy as np
from torch import Tensor

OVERLAP = 2
"""Windows that cover a frame, away from the ends."""


def starts(frames: int, clip: int) -> np.ndarray:
    """Return where windows begin: evenly spaced, the first at 0, the last ending at the end.

    Args:
        frames: length of the sequence, at least `clip`.
        clip: length of a window [frames].

    Returns:
        (N,) int64, no two further apart than `clip // OVERLAP`.
    """
    assert frames >= clip, (frames, clip)
    count = 1 + -(-(frames - clip) // (clip // OVERLAP))
    return np.round(np.linspace(0, frames - clip, count)).astype(np.int64)


def join(windows: Tensor, begin: np.ndarray, frames: int) -> Tensor:
    """Overlap-add windows into one sequence, each fading linearly towards its ends.

    The weights of a frame add up to one, so windows that agree are returned as they are, and each
    frame stands where it stood in its window.

    Args:
        windows: (N, C, clip).
        begin: (N,) where each begins.
        frames: length of the sequence.

    Returns:
        (C, frames).
    """
    clip = windows.shape[-1]
    rising = np.arange(1, clip + 1)
    fade = windows.new_tensor(np.minimum(rising, rising[::-1]))
    joined = windows.new_zeros(windows.shape[1], frames)
    weight = windows.new_zeros(frames)
    for window, start in zip(windows, begin.tolist(), strict=True):
        joined[:, start : start + clip] += window * fade
        weight[start : start + clip] += fade
    return joined / weight

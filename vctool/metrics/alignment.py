"""Align the frames of two utterances of one sentence."""

from collections.abc import Sequence

import numpy as np

from vctool.metrics.base import Row
from vctool.metrics.voice_analysis import VoiceAnalysis
from vctool.numba_cache import ensure_writable

Path = tuple[np.ndarray, np.ndarray]
"""Frames of the one and of the other that belong together: two (P,) arrays of indices, rising."""


def align(a: VoiceAnalysis, b: VoiceAnalysis) -> Path:
    """Align two utterances of one sentence by c1..c24 of their active frames.

    Returns:
        (i, j), each (P,): frame i[k] of `a` belongs to frame j[k] of `b`, counted among all their
        frames, from the first active ones to the last.
    """
    ensure_writable()
    from librosa.sequence import dtw
    from scipy.spatial.distance import cdist

    path = dtw(C=cdist(a.shape, b.shape))[1][::-1]
    return a.sounding[path[:, 0]], b.sounding[path[:, 1]]


def align_all(outputs: Sequence[VoiceAnalysis], targets: Sequence[VoiceAnalysis]) -> list[Path]:
    """Align every output with the target's recording of its sentence."""
    return [align(a, b) for a, b in zip(outputs, targets, strict=True)]


def in_place(outputs: Sequence[VoiceAnalysis], targets: Sequence[VoiceAnalysis]) -> list[Path]:
    """Pair frame k of every output with frame k of its target."""
    frames = [np.arange(min(len(a.f0), len(b.f0))) for a, b in zip(outputs, targets, strict=True)]
    return [(one, one) for one in frames]


def paths(row: Row[VoiceAnalysis]) -> list[Path]:
    """Pair the frames of a row's outputs with those of its targets; found once for all metrics."""
    outputs, targets = row.outputs, row.targets
    assert targets is not None
    find = in_place if row.in_place else align_all
    return outputs.once("paths", lambda: find(outputs.analyses, targets.analyses))

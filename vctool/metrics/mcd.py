"""Mel-cepstral distortion between an output and the target's recording of the same sentence.

Kubichek (1993), with the usual constant: for mel-cepstra a and b of natural-log amplitude,

    MCD = 10 / ln 10 * sqrt(2 sum_{d=1..24} (a_d - b_d)^2)   [dB]

averaged over a dynamic time warping path between the two sentences' active frames. The value
depends on order, alpha, c0, silence and path: `SETTINGS` says which, and stands beside it. It
rewards outputs that vary too little, so it is read beside the global-variance ratio
(`metrics.modulation`).
"""

from collections.abc import Sequence

import numpy as np

from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.pitch import HOP, RATE
from vctool.metrics.voice_analysis import ALPHA, EDGE_HZ, GATE_DB, ORDER, VoiceAnalysis

DB = 10.0 / np.log(10.0) * np.sqrt(2.0)
"""Turns the Euclidean distance of two mel-cepstra into a distortion [dB]."""

SETTINGS = (
    f"mel-cepstra of order {ORDER}, alpha {ALPHA}, of WORLD's CheapTrick at {RATE / 1000:g} kHz "
    f"every {1000 * HOP / RATE:g} ms, constant above {EDGE_HZ / 1000:g} kHz; c0 left out; frames "
    f"more than {GATE_DB:g} dB below the utterance's strongest left out; dynamic time warping of "
    f"c1..c{ORDER}, steps of weight 1; mean over the path, then over utterances"
)
"""What an MCD depends on, for the line under its table."""

Path = tuple[np.ndarray, np.ndarray]
"""Frames of the one and of the other that belong together: two (P,) arrays of indices, rising."""


def align(a: VoiceAnalysis, b: VoiceAnalysis) -> Path:
    """Align two utterances of one sentence by c1..c24 of their active frames.

    Returns:
        (i, j), each (P,): frame i[k] of `a` belongs to frame j[k] of `b`, counted among all their
        frames, from the first active ones to the last.
    """
    from librosa.sequence import dtw
    from scipy.spatial.distance import cdist

    path = dtw(C=cdist(a.shape, b.shape))[1][::-1]
    return a.sounding[path[:, 0]], b.sounding[path[:, 1]]


def align_all(outputs: Sequence[VoiceAnalysis], targets: Sequence[VoiceAnalysis]) -> list[Path]:
    """Align every output with the target's recording of its sentence."""
    return [align(a, b) for a, b in zip(outputs, targets, strict=True)]


def mcd(a: VoiceAnalysis, b: VoiceAnalysis, path: Path | None = None) -> float:
    """Compute the mel-cepstral distortion [dB] of two utterances.

    Args:
        a: one utterance.
        b: the other; the value is the same either way round, but for ties of the path.
        path: as `align` gives; found where not given.
    """
    i, j = align(a, b) if path is None else path
    return float(DB * np.linalg.norm(a.mcep[i, 1:] - b.mcep[j, 1:], axis=1).mean())


def pooled(
    outputs: Sequence[VoiceAnalysis],
    targets: Sequence[VoiceAnalysis],
    paths: Sequence[Path] | None = None,
) -> Pooled:
    """Pool the distortions [dB] of a system: their mean over utterances.

    Args:
        outputs: of the system.
        targets: the target's recordings of the same sentences, in the same order.
        paths: as `align_all` gives; found where not given.
    """
    paths = align_all(outputs, targets) if paths is None else paths
    values = [mcd(a, b, path) for a, b, path in zip(outputs, targets, paths, strict=True)]
    return ratio(np.array(values), np.ones(len(values)))

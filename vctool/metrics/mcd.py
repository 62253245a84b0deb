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

from vctool.metrics.alignment import Path, align, align_all, paths
from vctool.metrics.base import Measure, Row, Stand
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

TITLE = "MCD"
MEASURES = {
    "mcd": Measure(
        "MCD",
        "dB",
        "lower",
        "mel-cepstral distortion to the same sentence; hears no pitch",
        overview=True,
    )
}
BOARDS = {
    "voices": Stand(60),
    "vocoders": Stand(
        20,
        {
            "mcd": Measure(
                "MCD",
                "dB",
                "lower",
                "mel-cepstral distortion, frame by frame",
                gap=False,
                exact=0.0,
            )
        },
        f"mel-cepstra c1..c{ORDER}, alpha {ALPHA}, of CheapTrick every 10 ms, where the recording "
        "sounds",
    ),
}
ANALYSIS = VoiceAnalysis
NEEDS = ("targets",)


def measure(row: Row[VoiceAnalysis]) -> dict[str, Pooled]:
    """Pool a system's distortions over the frames in which the targets sound."""
    assert row.targets is not None
    targets = row.targets.analyses
    sounding = []
    for (i, j), target in zip(paths(row), targets, strict=True):
        heard = target.active[j]
        sounding.append((i[heard], j[heard]))
    return {"mcd": pooled(row.outputs.analyses, targets, sounding)}


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
    aligned: Sequence[Path] | None = None,
) -> Pooled:
    """Pool the distortions [dB] of a system: their mean over utterances.

    Args:
        outputs: of the system.
        targets: the target's recordings of the same sentences, in the same order.
        aligned: as `align_all` gives; found where not given.
    """
    aligned = align_all(outputs, targets) if aligned is None else aligned
    values = [mcd(a, b, path) for a, b, path in zip(outputs, targets, aligned, strict=True)]
    return ratio(np.array(values), np.ones(len(values)))

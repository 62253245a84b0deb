"""Earth mover's distance between the F0 distributions of two speakers, for any sentences."""

from collections.abc import Sequence

import numpy as np

from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, earth_mover
from vctool.metrics.pitch import F0_CEIL, F0_FLOOR
from vctool.metrics.voice_analysis import VoiceAnalysis

BIN_CENTS = 10.0
"""Width of a bin of the F0 histograms [cents]."""
BINS = int(np.ceil(1200.0 * np.log2(F0_CEIL / F0_FLOOR) / BIN_CENTS))

TITLE = "F0 distribution"
MEASURES = {
    "f0_distribution": Measure(
        "F0 distribution",
        "cents",
        "real",
        "earth mover's distance of log-F0 to the target's training recordings: as far as its own "
        "held-out recordings is natural, less is each sentence forced to one mean",
        of_set=True,
        overview=True,
    )
}
BOARDS = {"voices": Stand(50)}
ANALYSIS = VoiceAnalysis
NEEDS = ("reference",)
SETTINGS = (
    "DIO with StoneMask every 10 ms, 65 to 1000 Hz; earth mover's distance of histograms of log-F0 "
    f"in bins of {BIN_CENTS:g} cents"
)


def measure(row: Row[VoiceAnalysis]) -> dict[str, Pooled]:
    """Pool the distance to the reference."""
    assert row.reference is not None
    return {"f0_distribution": distribution(row.outputs.analyses, row.reference.analyses)}


def histogram(f0: np.ndarray) -> np.ndarray:
    """Count voiced frames by log-F0: (F,) [Hz] -> (BINS,)."""
    voiced = f0[f0 > 0]
    place = np.floor(1200.0 * np.log2(voiced / F0_FLOOR) / BIN_CENTS).astype(int)
    return np.bincount(np.clip(place, 0, BINS - 1), minlength=BINS).astype(float)


def distribution(outputs: Sequence[VoiceAnalysis], recordings: Sequence[VoiceAnalysis]) -> Pooled:
    """Measure how far a system's F0 lies from the target's, whatever either says [cents].

    Args:
        outputs: of the system.
        recordings: of the target, any sentences.
    """
    counts = np.stack([histogram(one.f0) for one in outputs])
    reference = np.sum([histogram(one.f0) for one in recordings], axis=0)
    return earth_mover(counts, reference, BIN_CENTS)

"""How near an output's F0 is to the target's: along a path, or as a distribution.

Along the path that aligns two utterances of one sentence (`metrics.mcd.align`): the root mean
square difference and the correlation where both are voiced, and the share of frames that differ in
voicing. Without a recording of the same sentence: how far the target's F0 distribution must be
moved to become the output's. The tracker is the scoreboard's (`metrics.pitch`).
"""

from collections.abc import Sequence

import numpy as np

from vctool.metrics.bootstrap import Pooled, earth_mover, ratio
from vctool.metrics.mcd import Path, align_all
from vctool.metrics.pitch import F0_CEIL, F0_FLOOR
from vctool.metrics.voice_analysis import VoiceAnalysis

BIN_CENTS = 10.0
"""Width of a bin of the F0 histograms [cents]."""
BINS = int(np.ceil(1200.0 * np.log2(F0_CEIL / F0_FLOOR) / BIN_CENTS))

SETTINGS = (
    "DIO with StoneMask every 10 ms, 65 to 1000 Hz; errors along the path of the MCD, octaves not "
    "forgiven; correlation of log-F0 within utterances; distribution: earth mover's distance of "
    f"histograms of log-F0 in bins of {BIN_CENTS:g} cents"
)
"""What these values depend on, for the line under their table."""


def sums(a: VoiceAnalysis, b: VoiceAnalysis, path: Path) -> np.ndarray:
    """Sum up how the F0 of two utterances differs along a path.

    Returns:
        (7,): frames of the path, frames that differ in voicing, frames voiced in both; over the
        latter the sum of squared differences [cents^2], and of log-F0 less its own mean in each
        utterance [cents^2] the square of `a`, the square of `b` and the product.
    """
    one, other = a.f0[path[0]], b.f0[path[1]]
    both = (one > 0) & (other > 0)
    counts = [len(one), np.count_nonzero((one > 0) != (other > 0)), np.count_nonzero(both)]
    if not both.any():
        return np.array([*counts, 0.0, 0.0, 0.0, 0.0])
    x, y = (1200.0 * np.log2(f0[both]) for f0 in (one, other))
    squared = np.sum((1200.0 * np.log2(one[both] / other[both])) ** 2)
    x, y = x - x.mean(), y - y.mean()
    return np.array([*counts, squared, x @ x, y @ y, x @ y])


def pooled(
    outputs: Sequence[VoiceAnalysis],
    targets: Sequence[VoiceAnalysis],
    paths: Sequence[Path] | None = None,
) -> dict[str, Pooled]:
    """Pool a system's F0 errors over all frames of all utterances.

    Args:
        outputs: of the system.
        targets: the target's recordings of the same sentences, in the same order.
        paths: as `metrics.mcd.align_all` gives; found where not given.

    Returns:
        `f0_rmse` [cents], `f0_correlation` (-1 to 1, of log-F0 within utterances) and `f0_voicing`
        (share of frames). NaN where no frame is voiced in both.
    """
    paths = align_all(outputs, targets) if paths is None else paths
    rows = np.stack([sums(a, b, path) for a, b, path in zip(outputs, targets, paths, strict=True)])
    squares = ratio(rows[:, 3], rows[:, 2])
    return {
        "f0_rmse": Pooled(squares.sums, lambda totals: np.sqrt(squares.finish(totals))),
        "f0_correlation": Pooled(rows[:, 4:], _correlation),
        "f0_voicing": ratio(rows[:, 1], rows[:, 0]),
    }


def _correlation(totals: np.ndarray) -> np.ndarray:
    """Turn sums of x^2, y^2 and x y, (R, 3), into correlations (R,)."""
    scale = np.sqrt(totals[:, 0] * totals[:, 1])
    return np.where(scale > 0, totals[:, 2] / np.where(scale > 0, scale, 1.0), np.nan)


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

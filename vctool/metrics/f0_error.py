"""F0 errors of an output against the target, along the path that aligns the two utterances.

The root mean square difference and the correlation where both are voiced, and the share of frames
that differ in voicing. The tracker is the scoreboard's (`metrics.pitch`), the path that of the MCD
(`metrics.alignment`).
"""

from collections.abc import Sequence

import numpy as np

from vctool.metrics.alignment import Path, align_all, paths
from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.voice_analysis import VoiceAnalysis

SETTINGS = (
    "DIO with StoneMask every 10 ms, 65 to 1000 Hz; errors along the path of the MCD, octaves not "
    "forgiven; correlation of log-F0 within utterances"
)
"""What these values depend on, for the line under their table."""

TITLE = "F0 error"
MEASURES = {
    "f0_rmse": Measure(
        "F0 RMSE", "cents", "lower", "to the target's same sentence, both voiced", overview=True
    ),
    "f0_correlation": Measure("F0 corr.", "", "higher", "of log-F0, on the same frames"),
    "f0_voicing": Measure(
        "voicing error", "share", "lower", "aligned frames that differ in voicing"
    ),
}
BOARDS = {
    "voices": Stand(40),
    "vocoders": Stand(
        30,
        {
            "f0_rmse": Measure(
                "F0 RMSE",
                "cents",
                "lower",
                "where recording and output are voiced",
                gap=False,
                exact=0.0,
            ),
            "f0_voicing": Measure(
                "voicing error",
                "share",
                "lower",
                "frames that differ in voicing",
                gap=False,
                exact=0.0,
            ),
        },
        "DIO with StoneMask every 10 ms, 65 to 1000 Hz, octaves not forgiven",
    ),
}
ANALYSIS = VoiceAnalysis
NEEDS = ("targets",)


def measure(row: Row[VoiceAnalysis]) -> dict[str, Pooled]:
    """Pool a system's errors along the paths to its targets."""
    assert row.targets is not None
    return pooled(row.outputs.analyses, row.targets.analyses, paths(row))


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
    aligned: Sequence[Path] | None = None,
) -> dict[str, Pooled]:
    """Pool a system's F0 errors over all frames of all utterances.

    Args:
        outputs: of the system.
        targets: the target's recordings of the same sentences, in the same order.
        aligned: as `metrics.alignment.align_all` gives; found where not given.

    Returns:
        `f0_rmse` [cents], `f0_correlation` (-1 to 1, of log-F0 within utterances) and `f0_voicing`
        (share of frames). NaN where no frame is voiced in both.
    """
    aligned = align_all(outputs, targets) if aligned is None else aligned
    pairs = zip(outputs, targets, aligned, strict=True)
    rows = np.stack([sums(a, b, path) for a, b, path in pairs])
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

"""Content kept, without text: whether an output is nearest to its own source among all sources.

Cepstra c1..c12, mean and variance normalised over the utterance, hold what is said and little of
the pitch. An output whose words survive lies nearest to its own source, aligned in time.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.spectral import CEPSTRA, cepstra

TITLE = "content kept"
MEASURES = {
    "content": Measure(
        "content kept",
        "share",
        "higher",
        "own source nearest among all sources",
        gap=False,
        overview=True,
    )
}
BOARDS = {
    "singing": Stand(10),
    "voices": Stand(10),
    "vocoders": Stand(
        40,
        {
            "content": Measure(
                "content kept",
                "share",
                "higher",
                "own recording nearest among all",
                gap=False,
                exact=1.0,
            )
        },
    ),
}
NEEDS = ("sources",)

BAND = 0.12
"""How far the warp between a lengthened output and a source may leave the straight line, as a
share of the length; 0 is used for outputs as long as their source."""
SAME_LENGTH_FRAMES = 4
"""Outputs within this of their source's length count as not lengthened [frames]."""
STEP = 4
"""Frames are averaged in fours before comparison: one per 40 ms."""


class Heard(Protocol):
    """What is read of a wave, whatever else a board's analysis finds."""

    @property
    def bands(self) -> np.ndarray:
        """(F, N_BANDS) log mel bands [dB]."""


def settings(row: Row[Heard]) -> str:
    """Say how it is taken."""
    assert row.sources is not None
    size = len(row.sources)
    return (
        f"top-1 of {size} (chance {1 / size:.3f}), cepstra c1-c{CEPSTRA} without level or F0, mean "
        f"and variance normalised, {10 * STEP} ms; outputs that are longer or shorter than their "
        f"source are warped within {BAND:.0%}"
    )


def measure(row: Row[Heard]) -> dict[str, Pooled]:
    """Pool what `retrieve` finds: the share of outputs whose own source is the nearest."""
    assert row.sources is not None
    outputs, sources = row.outputs.analyses, row.sources.analyses
    hits = retrieve([one.bands for one in outputs], [one.bands for one in sources])
    return {"content": ratio(hits, np.ones(len(hits)))}


def prepare(bands: np.ndarray) -> np.ndarray:
    """Normalise an utterance's cepstra: (F, N_BANDS) [dB] -> (F // STEP, CEPSTRA)."""
    values = cepstra(bands)
    usable = max(len(values) // STEP, 1) * STEP
    values = np.resize(values, (usable, values.shape[1])).reshape(-1, STEP, values.shape[1])
    values = values.mean(axis=1)
    return np.asarray((values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6))


def resample_frames(values: np.ndarray, frames: int) -> np.ndarray:
    """Stretch or squeeze frames (F, D) linearly to a number of frames."""
    if len(values) == frames:
        return values
    at = np.linspace(0.0, len(values) - 1.0, frames)
    low = np.minimum(at.astype(int), len(values) - 1)
    high = np.minimum(low + 1, len(values) - 1)
    share = (at - low)[:, None]
    return np.asarray((1 - share) * values[low] + share * values[high])


def distances(output: np.ndarray, sources: Sequence[np.ndarray], band: float) -> np.ndarray:
    """Measure how far an output lies from every source.

    Every source is brought linearly to the output's length; with a band, a warp within it is
    allowed besides, for every source alike.

    Args:
        output: (F, D) as `prepare` gives.
        sources: each (F_s, D).
        band: half width of the allowed warp, as a share of F.

    Returns:
        (len(sources),) mean squared distance per frame and dimension.
    """
    stack = np.stack([resample_frames(source, len(output)) for source in sources])
    if band == 0.0:
        return np.asarray(np.mean((stack - output) ** 2, axis=(1, 2)))
    return _warped(output, stack, max(round(band * len(output)), 1))


def _warped(output: np.ndarray, stack: np.ndarray, width: int) -> np.ndarray:
    """Run banded dynamic time warping against a stack of sources (S, F, D) at once.

    Symmetric steps with weight 2 on the diagonal (Sakoe and Chiba 1978), so that every path has
    the same total weight 2F and no path is favoured for being short.
    """
    count, frames = stack.shape[:2]
    offsets = np.arange(-width, width + 1)
    columns = np.arange(frames)[:, None] + offsets
    inside = (columns >= 0) & (columns < frames)
    previous = np.full((count, len(offsets)), np.inf)
    for row in range(frames):
        picked = stack[:, np.clip(columns[row], 0, frames - 1)]
        cost = np.mean((picked - output[row]) ** 2, axis=2)
        cost[:, ~inside[row]] = np.inf
        # Column j of the row above sits one offset to the right.
        above = np.concatenate([previous[:, 1:], np.full((count, 1), np.inf)], axis=1)
        current = np.minimum(above + cost, previous + 2 * cost)
        if row == 0:
            current[:, width] = 2 * cost[:, width]
        for place in range(1, len(offsets)):
            along = current[:, place - 1] + cost[:, place]
            np.minimum(current[:, place], along, out=current[:, place])
        previous = current
    return np.asarray(previous[:, width] / (2 * frames))


def retrieve(
    outputs: Sequence[np.ndarray], sources: Sequence[np.ndarray], own: Sequence[int] | None = None
) -> np.ndarray:
    """Tell for every output whether its own source is the nearest.

    Args:
        outputs: bands (F, N_BANDS) [dB] of every output.
        sources: bands of every source.
        own: index of each output's source; its own place where not given.

    Returns:
        (len(outputs),) 1.0 where the own source is strictly nearest, else 0.0. Chance is
        1 / len(sources).
    """
    own = range(len(outputs)) if own is None else own
    prepared = [prepare(bands) for bands in sources]
    hits = np.zeros(len(outputs))
    for place, (bands, index) in enumerate(zip(outputs, own, strict=True)):
        lengthened = abs(len(bands) - len(sources[index])) > SAME_LENGTH_FRAMES
        found = distances(prepare(bands), prepared, BAND if lengthened else 0.0)
        rest = np.delete(found, index)
        hits[place] = float(rest.size == 0 or found[index] < rest.min())
    return hits

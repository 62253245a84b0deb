"""Content kept, without text: whether an output is nearest to its own source among some others.

What is heard in a wave is posteriors of phones (`features.phones`), every 40 ms. Two frames differ
by the squared Hellinger distance of the posteriors of all phones but silence, so that pauses, which
any system leaves in place, do not count. The phone distance is that of an output to its own source,
over the phones that either holds: 0 where the same is said, 1 where nothing is. Unlike a share of
utterances it does not saturate.

The same retrieval by log-mel cepstra stands beside it, since posteriors may steer a conversion and
then cannot judge it alone: c1..c12, mean and variance normalised over the utterance. It hears where
sound begins and ends more than what is said: a smeared envelope passes.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch

from vctool.features import phones, sphinx
from vctool.metrics.base import Group, Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.levelled import levelled
from vctool.metrics.pitch import RATE
from vctool.metrics.spectral import CEPSTRA, cepstra
from vctool.metrics.unavailable import MetricUnavailable

CANDIDATES = 16
"""Sources among which an output's own has to be the nearest; fewer where there are fewer."""

TITLE = "content kept"
MEASURES = {
    "content": Measure(
        "content kept",
        "share",
        "higher",
        "own source nearest among some others by the phones that are heard",
        gap=False,
        overview=True,
    ),
    "phone_distance": Measure(
        "phone distance",
        "",
        "lower",
        "how far the phones that are heard are from the source's: 0 the same, 1 none in common; "
        "hears neither pitch nor buzz",
        gap=False,
        overview=True,
        bounds=(0.0, 1.0),
    ),
    "content_mel": Measure(
        "content by mel",
        "share",
        "higher",
        "own source nearest by log-mel cepstra, which hear when there is sound as much as what",
        gap=False,
    ),
}
_OF_RECORDING = {
    "content": 1.0,
    "phone_distance": 0.0,
    "content_mel": 1.0,
}
BOARDS = {
    "singing": Stand(10),
    "voices": Stand(10),
    # songs repeat their words, so that nothing can be told from which lead is the nearest
    "doubles": Stand(50, {"phone_distance": MEASURES["phone_distance"]}),
    "vocoders": Stand(
        40,
        {
            name: Measure(
                one.title,
                one.unit,
                one.better,
                one.meaning.replace("source", "recording"),
                gap=False,
                exact=_OF_RECORDING[name],
                bounds=one.bounds,
            )
            for name, one in MEASURES.items()
        },
    ),
}
NEEDS = ("sources",)
PACKAGES = ("pocketsphinx",)

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


Compare = Callable[[np.ndarray, Sequence[np.ndarray], float], np.ndarray]
"""Maps an output's features (F, D), those of all sources, and the band of the allowed warp to the
output's distances (S,)."""


def settings(row: Row[Heard]) -> str:
    """Say how it is taken."""
    assert row.sources is not None
    size = min(CANDIDATES, len(row.sources))
    return (
        f"top-1 of {size} (chance {1 / size:.3f}), the mean over all choices of the others; phone "
        "posteriors of pocketsphinx's Gaussians without silence, squared Hellinger distance; by "
        f"mel: cepstra c1-c{CEPSTRA} without level or F0, mean and variance normalised; "
        f"{10 * STEP} ms; outputs that are longer or shorter than their source are warped within "
        f"{BAND:.0%}"
    )


def measure(row: Row[Heard]) -> dict[str, Pooled]:
    """Pool what is retrieved, and how far outputs are from their own sources."""
    assert row.sources is not None
    ones = np.ones(len(row.outputs))
    hits, own = retrieve(posteriors(row.outputs), posteriors(row.sources), spoken, phone_distances)
    bands = [one.bands for one in row.outputs.analyses]
    known = [one.bands for one in row.sources.analyses]
    hits_by_mel, _ = retrieve(bands, known, prepare, distances)
    return {
        "content": ratio(hits, ones),
        "phone_distance": ratio(own, ones),
        "content_mel": ratio(hits_by_mel, ones),
    }


def posteriors(group: Group[Heard]) -> list[np.ndarray]:
    """Return the phone posteriors of waves, (F, P) every 10 ms; computed once for all metrics.

    Raises:
        MetricUnavailable: pocketsphinx, which ships the Gaussians, is not installed.
    """
    from vctool.threads import map_parts

    try:
        sphinx.shipped()
    except ImportError:
        raise MetricUnavailable(TITLE, "pocketsphinx", "pip install pocketsphinx") from None

    def one(wave: np.ndarray) -> np.ndarray:
        sound = torch.from_numpy(levelled(wave, group.rate))
        heard: np.ndarray = phones.posteriors(phones.cepstra(sound, RATE)).numpy()
        return heard

    return group.once("phone posteriors", lambda: map_parts(one, group.waves))


def spoken(posteriors: np.ndarray) -> np.ndarray:
    """Turn posteriors (F, P) into what `phone_distances` compares: (F // STEP, P - 1)."""
    audible = np.delete(posteriors, phones.PHONES.index(phones.SILENCE), axis=1)
    return np.sqrt(_in_steps(audible))


def phone_distances(output: np.ndarray, sources: Sequence[np.ndarray], band: float) -> np.ndarray:
    """Measure how far the phones of an output are from those of every source.

    Args:
        output: (F, P - 1) as `spoken` gives.
        sources: each (F_s, P - 1).
        band: half width of the allowed warp, as a share of F.

    Returns:
        (len(sources),) about 0..1: sum of squared Hellinger distances over the sum of the
        probabilities of both, so that pauses add nothing to either.
    """

    def mass(heard: np.ndarray) -> float:
        return float(np.square(heard).sum(axis=1).mean())

    apart = output.shape[1] * distances(output, sources, band)
    both = mass(output) + np.array([mass(source) for source in sources])
    return np.asarray(apart / np.maximum(both, 1e-6))


def prepare(bands: np.ndarray) -> np.ndarray:
    """Normalise an utterance's cepstra: (F, N_BANDS) [dB] -> (F // STEP, CEPSTRA)."""
    values = _in_steps(cepstra(bands))
    return np.asarray((values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6))


def _in_steps(values: np.ndarray) -> np.ndarray:
    """Average frames (F, D) in groups of `STEP`."""
    usable = max(len(values) // STEP, 1) * STEP
    grouped = np.resize(values, (usable, values.shape[1])).reshape(-1, STEP, values.shape[1])
    return np.asarray(grouped.mean(axis=1))


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
    outputs: Sequence[np.ndarray],
    sources: Sequence[np.ndarray],
    describe: Callable[[np.ndarray], np.ndarray],
    compare: Compare,
) -> tuple[np.ndarray, np.ndarray]:
    """Tell for every output whether its own source is the nearest.

    Args:
        outputs: (F, K) every 10 ms, of every output.
        sources: the same of every source, in the outputs' order.
        describe: makes the features that are compared of either.
        compare: measures the distances of one output's features to those of all sources.

    Returns:
        (N,) the share of all choices of `CANDIDATES` - 1 other sources among which none is as near
        as its own, 0..1; and (N,) the distance to its own.
    """
    described = [describe(one) for one in sources]
    hits, own = np.zeros(len(outputs)), np.zeros(len(outputs))
    for place, (output, source) in enumerate(zip(outputs, sources, strict=True)):
        lengthened = abs(len(output) - len(source)) > SAME_LENGTH_FRAMES
        found = compare(describe(output), described, BAND if lengthened else 0.0)
        own[place] = found[place]
        hits[place] = _share_of_choices(np.delete(found, place) > found[place])
    return hits, own


def _share_of_choices(farther: np.ndarray) -> float:
    """Return the share of choices of `CANDIDATES` - 1 of some (S,) that are all True."""
    chosen = min(CANDIDATES - 1, len(farther))
    return math.comb(int(farther.sum()), chosen) / math.comb(len(farther), chosen)

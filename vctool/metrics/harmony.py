"""Agreement of a melody with the harmony of its accompaniment.

The measure is the mean weight of the accompaniment's chroma at the pitch class that is sung. A
drone on the strongest pitch class beats every singer, so it is read beside a drone and beside the
same melody against other accompaniments.
"""

from collections.abc import Sequence

import numpy as np

from vctool.metrics.analysis import Analysis
from vctool.metrics.base import Group, Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, difference_of_ratios, ratio
from vctool.metrics.pitch import RATE, at_scoring_rate, to_semitones
from vctool.metrics.spectral import power_frames
from vctool.numba_cache import ensure_writable

N_FFT = 4096
"""Window of the chroma analysis [samples at 16 kHz]: 256 ms, semitones apart from 130 Hz on."""
SILENT_DB = -80.0
"""Frames whose power is this far below the strongest one's hold no harmony [dB]."""

TITLE = "chroma"
MEASURES = {
    "chroma": Measure("chroma", "share", "real", "accompaniment's chroma at the sung pitch class"),
    "chroma_shuffled": Measure(
        "chroma, shuffled", "share", "real", "the same against other utterances' accompaniments"
    ),
    "chroma_gain": Measure(
        "chroma gain", "share", "real", "own accompaniment less others", bounds=(-1.0, 1.0)
    ),
}
BOARDS = {"singing": Stand(40)}
ANALYSIS = Analysis
NEEDS = ("accompaniments",)
SETTINGS = (
    f"energy per pitch class of the accompaniment, {1000 * N_FFT // RATE} ms windows, A4 = 440 Hz"
)


def measure(row: Row[Analysis]) -> dict[str, Pooled]:
    """Pool the agreement with the own and with other accompaniments; nothing if all are silent."""
    assert row.accompaniments is not None
    chromas = chromas_of(row.accompaniments)
    if not any(has_sound(chroma) for chroma in chromas):
        return {}
    analyses = row.outputs.analyses
    own = np.array([agreement(one.f0, own) for one, own in zip(analyses, chromas, strict=True)])
    others = np.array(
        [shuffled_agreement(one.f0, place, chromas) for place, one in enumerate(analyses)]
    )
    return {
        "chroma": ratio(own[:, 0], own[:, 1]),
        "chroma_shuffled": ratio(others[:, 0], others[:, 1]),
        "chroma_gain": difference_of_ratios(own, others),
    }


def chromas_of(accompaniments: Group[Analysis]) -> list[np.ndarray]:
    """Return the chroma of every accompaniment, computed once."""
    return accompaniments.once(
        "chroma", lambda: [chroma(wave, accompaniments.rate) for wave in accompaniments.waves]
    )


def chroma(wave: np.ndarray, rate: int) -> np.ndarray:
    """Share the energy of an accompaniment among pitch classes C..B, tuned to A4 = 440 Hz.

    Args:
        wave: (T,).
        rate: its sampling rate [Hz].

    Returns:
        (1 + T // HOP, 12), each frame of sum 1; silent frames hold NaN.
    """
    ensure_writable()
    import librosa

    power = power_frames(at_scoring_rate(wave, rate), N_FFT)
    bank = librosa.filters.chroma(sr=RATE, n_fft=N_FFT, tuning=0.0)
    energy = power @ bank.T
    total = energy.sum(axis=1, keepdims=True)
    silent = total <= total.max(initial=0.0) * 10 ** (SILENT_DB / 10)
    return np.asarray(np.where(silent, np.nan, energy / np.where(silent, 1.0, total)))


def fit_frames(values: np.ndarray, frames: int) -> np.ndarray:
    """Loop or cut frames (F, D) to a number of frames, as conversion does with accompaniments."""
    return np.resize(values, (frames, values.shape[1]))


def agreement(f0: np.ndarray, weights: np.ndarray) -> tuple[float, int]:
    """Add up the chroma's weight at the sung pitch class.

    Args:
        f0: (F,) [Hz], 0 where unvoiced.
        weights: (G, 12) chroma of the accompaniment, looped or cut to F.

    Returns:
        Sum over the frames that are voiced and not silent in the accompaniment, and their number.
    """
    weights = fit_frames(weights, len(f0))
    usable = np.flatnonzero((f0 > 0) & np.isfinite(weights[:, 0]))
    classes = np.rint(to_semitones(f0[usable])).astype(int) % 12
    return float(weights[usable, classes].sum()), len(usable)


def shuffled_agreement(
    f0: np.ndarray, index: int, chromas: Sequence[np.ndarray], turns: int = 5
) -> tuple[float, int]:
    """Add up the agreement with the accompaniments of other utterances.

    Args:
        f0: (F,) of utterance `index`.
        index: its place in `chromas`.
        chromas: chroma of every utterance's accompaniment.
        turns: how many others, spread evenly over the rest.

    Returns:
        Sums of weights and of frames over those accompaniments.
    """
    others = len(chromas) - 1
    steps = np.unique(np.linspace(1, others, min(turns, others)).astype(int))
    parts = [agreement(f0, chromas[(index + step) % len(chromas)]) for step in steps]
    return sum(weight for weight, _ in parts), sum(frames for _, frames in parts)


def strongest(weights: np.ndarray, count: int = 1) -> np.ndarray:
    """Name the strongest pitch classes of a stretch of chroma (F, 12), strongest first."""
    assert np.isfinite(weights).any(), "no frame of the accompaniment holds sound"
    return np.argsort(-np.nanmean(weights, axis=0), kind="stable")[:count]


def has_sound(weights: np.ndarray) -> bool:
    """Tell whether any frame of a chroma (F, 12) holds sound."""
    return bool(np.isfinite(weights).any())

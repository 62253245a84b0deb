"""Global variance and modulation spectrum of mel-cepstra, which over-smoothing models lose.

*Global variance* (Toda, Black and Tokuda, 2007): the variance of every coefficient within an
utterance. *Modulation spectrum* (Takamichi et al., 2014): the log power spectrum of every
coefficient's trajectory. Both are compared as means over utterances, so they need recordings of the
target but not of the same sentences. Differences from the papers: silent frames are left out;
trajectories are taken about their mean, Hann-windowed against leakage from the strong slow
components into the weak fast ones, and their power is divided by the window's energy, so that an
utterance's length does not count; log power is averaged within bands of modulation frequency, since
single bins of a few dozen utterances differ by chance alone.
"""

from collections.abc import Sequence

import numpy as np

from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled
from vctool.metrics.pitch import FRAME_RATE
from vctool.metrics.voice_analysis import ORDER, VoiceAnalysis

FRAMES = 512
"""Trajectories are cut or zero-padded to this length [frames]: 5.12 s."""
BANDS = 32
"""Bands of modulation frequency, of equal width: 1.56 Hz."""
LEAST = 1e-12
"""Power and variance below this are taken as this."""

SETTINGS = (
    f"c1..c{ORDER} of active frames at {FRAME_RATE:g} Hz; modulation spectrum: Hann window, "
    f"{FRAMES} points, RMS over coefficients and {BANDS} bands from 0 to {FRAME_RATE / 2:g} Hz of "
    "the difference of mean log power; variance ratio: geometric mean over coefficients"
)
"""What these values depend on, for the line under their table."""

TITLE = "modulation, GV ratio"
MEASURES = {
    "modulation": Measure(
        "modulation",
        "dB",
        "lower",
        "distance of modulation spectra to the target's training recordings",
        of_set=True,
        overview=True,
    ),
    "gv_ratio": Measure(
        "GV ratio",
        "",
        "real",
        "global variance over that of the target's training recordings: 1 is natural, "
        "less is blurred",
        of_set=True,
        overview=True,
    ),
}
BOARDS = {"voices": Stand(70)}
ANALYSIS = VoiceAnalysis
NEEDS = ("reference",)


def measure(row: Row[VoiceAnalysis]) -> dict[str, Pooled]:
    """Pool both comparisons with the reference."""
    assert row.reference is not None
    outputs, reference = row.outputs.analyses, row.reference.analyses
    return {
        "modulation": distance(outputs, reference),
        "gv_ratio": variance_ratio(outputs, reference),
    }


def spectrum_db(analysis: VoiceAnalysis) -> np.ndarray:
    """Compute an utterance's modulation spectrum.

    Returns:
        (BANDS, ORDER) [dB], bands of rising modulation frequency; 0 Hz, the mean, is left out.
    """
    shape = analysis.shape[:FRAMES]
    frames = len(shape)
    hann = np.sin(np.pi * (np.arange(frames) + 0.5) / frames) ** 2
    moving = (shape - shape.mean(axis=0)) * hann[:, None]
    power = np.abs(np.fft.rfft(moving, FRAMES, axis=0)[1:]) ** 2 / np.sum(hann**2)
    log = 10.0 * np.log10(np.maximum(power, LEAST))
    return np.asarray(log.reshape(BANDS, -1, ORDER).mean(axis=1))


def distance(outputs: Sequence[VoiceAnalysis], recordings: Sequence[VoiceAnalysis]) -> Pooled:
    """Measure how far a system's mean modulation spectrum lies from the target's.

    Args:
        outputs: of the system.
        recordings: of the target, any sentences.

    Returns:
        Root mean square difference over coefficients and bands [dB].
    """
    target = np.mean([spectrum_db(one).ravel() for one in recordings], axis=0)
    off = np.stack([spectrum_db(one).ravel() - target for one in outputs])

    def finish(totals: np.ndarray) -> np.ndarray:
        return np.sqrt(np.mean((totals[:, 1:] / totals[:, :1]) ** 2, axis=1))

    return Pooled(np.column_stack([np.ones(len(off)), off]), finish)


def variances(analysis: VoiceAnalysis) -> np.ndarray:
    """Compute the variance of c1..c24 over an utterance's active frames: (ORDER,)."""
    return np.asarray(analysis.shape.var(axis=0))


def variance_ratio(outputs: Sequence[VoiceAnalysis], recordings: Sequence[VoiceAnalysis]) -> Pooled:
    """Compare a system's mean global variance with the target's.

    Args:
        outputs: of the system.
        recordings: of the target, any sentences.

    Returns:
        Geometric mean over c1..c24 of the ratios: 1 is natural, below 1 over-smoothed.
    """
    target = np.mean([variances(one) for one in recordings], axis=0)
    rows = np.stack([variances(one) for one in outputs])

    def finish(totals: np.ndarray) -> np.ndarray:
        shares = totals[:, 1:] / totals[:, :1] / np.maximum(target, LEAST)
        return np.exp(np.log(np.maximum(shares, LEAST)).mean(axis=1))

    return Pooled(np.column_stack([np.ones(len(rows)), rows]), finish)

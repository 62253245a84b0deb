"""Distances of a resynthesis from its recording, frame by frame, independent of level.

A vocoder should give back the sound whose features it is given, sample by sample in place. So
frame k is compared with frame k, nothing is warped, and one gain, that of equal energy, is taken
off first. The two distances:

    LSD      mean over frames k of sqrt(mean over bins f of (A_kf - B_kf)^2)             [dB]
    MR-STFT  mean over resolutions of ||a - b|| / ||a|| + mean |ln a - ln b|

with magnitudes a of the recording and b of the resynthesis, and A = 20 log10 a (Gray and Markel
1976; Yamamoto, Song and Kim 2020). Both are of power spectra at the scoring rate with a floor
below the recording's strongest bin, without which the logarithms would tell of digital silence
alone, and end where resampling filters begin. LSD is of sounding frames alone: pauses are
left out.
"""

from collections.abc import Sequence

import numpy as np

from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.pitch import HOP, RATE, at_scoring_rate
from vctool.metrics.spectral import F_MAX, N_FFT, active, bands_db, power_frames

RESOLUTIONS = (512, 1024, 2048)
"""Windows of the multi-resolution distance [samples at 16 kHz]: 32, 64 and 128 ms."""
FLOOR_DB = 80.0
"""Bins lie no deeper than this below the recording's strongest [dB]."""

SETTINGS = (
    f"at {RATE / 1000:g} kHz every {1000 * HOP / RATE:g} ms, equal energy, frame by frame without "
    f"warping, bins up to {F_MAX / 1000:g} kHz and no deeper than {FLOOR_DB:g} dB below the "
    f"recording's strongest; LSD of {N_FFT} samples over sounding frames; MR-STFT: spectral "
    "convergence plus mean difference of ln magnitudes over windows of "
    f"{', '.join(map(str, RESOLUTIONS))} samples"
)
"""What these values depend on, for the line under their table."""

TITLE = "LSD, MR-STFT"
MEASURES = {
    "lsd": Measure(
        "LSD", "dB", "lower", "log-spectral distance to the recording", gap=False, exact=0.0
    ),
    "mr_stft": Measure(
        "MR-STFT",
        "",
        "lower",
        "multi-resolution STFT distance to the recording",
        gap=False,
        exact=0.0,
    ),
}
BOARDS = {"vocoders": Stand(10)}
NEEDS = ("targets",)


def measure(row: Row) -> dict[str, Pooled]:
    """Pool a vocoder's distances from the recordings whose features it was given."""
    outputs, recordings = row.outputs, row.targets
    assert recordings is not None
    return pooled(outputs.waves, recordings.waves, outputs.rate, recordings.rate)


def aligned(
    output: np.ndarray, recording: np.ndarray, output_rate: int, rate: int
) -> tuple[np.ndarray, np.ndarray]:
    """Bring both to the scoring rate, to one length and to equal energy.

    Args:
        output: (T,) of the vocoder, any level.
        recording: (T',), of the same duration but for rounding.
        output_rate: of the output [Hz].
        rate: of the recording [Hz].

    Returns:
        Output and recording, each (T'',) with a root mean square of 1; silence stays silence.
    """
    waves = [at_scoring_rate(output, output_rate), at_scoring_rate(recording, rate)]
    length = len(waves[1])
    assert abs(len(waves[0]) - length) <= HOP, ([len(wave) for wave in waves], "not one duration")
    waves[0] = np.pad(waves[0], (0, max(0, length - len(waves[0]))))[:length]
    levels = [float(np.sqrt(np.mean(wave**2))) for wave in waves]
    first, second = (
        wave / level if level > 0 else wave for wave, level in zip(waves, levels, strict=True)
    )
    return first, second


def _magnitudes(output: np.ndarray, recording: np.ndarray, n_fft: int) -> list[np.ndarray]:
    """Return magnitudes (F, K) of both up to `F_MAX`, floored alike."""
    bins = int(F_MAX / RATE * n_fft) + 1
    powers = [power_frames(wave, n_fft)[:, :bins] for wave in (output, recording)]
    floor = max(float(powers[1].max()), 1e-12) * 10 ** (-FLOOR_DB / 10)
    return [np.sqrt(np.maximum(power, floor)) for power in powers]


def log_spectral_distance(output: np.ndarray, recording: np.ndarray) -> float:
    """Compute the log-spectral distance [dB] of two waves as `aligned` gives them."""
    a, b = _magnitudes(output, recording, N_FFT)
    sounding = active(bands_db(recording))
    squares = (20.0 * np.log10(a[sounding] / b[sounding])) ** 2
    return float(np.sqrt(squares.mean(axis=1)).mean())


def stft_distance(output: np.ndarray, recording: np.ndarray) -> float:
    """Compute the multi-resolution STFT distance of two waves as `aligned` gives them."""
    found = []
    for n_fft in RESOLUTIONS:
        a, b = _magnitudes(output, recording, n_fft)
        convergence = np.linalg.norm(a - b) / np.linalg.norm(b)
        found.append(convergence + np.abs(np.log(a / b)).mean())
    return float(np.mean(found))


def pooled(
    outputs: Sequence[np.ndarray], recordings: Sequence[np.ndarray], output_rate: int, rate: int
) -> dict[str, Pooled]:
    """Pool a vocoder's distances: their means over utterances.

    Args:
        outputs: of the vocoder, each (T,).
        recordings: what it was given the features of, in the same order.
        output_rate: of the outputs [Hz].
        rate: of the recordings [Hz].

    Returns:
        `lsd` [dB] and `mr_stft`.
    """
    pairs = [aligned(a, b, output_rate, rate) for a, b in zip(outputs, recordings, strict=True)]
    ones = np.ones(len(pairs))
    return {
        "lsd": ratio(np.array([log_spectral_distance(*pair) for pair in pairs]), ones),
        "mr_stft": ratio(np.array([stft_distance(*pair) for pair in pairs]), ones),
    }

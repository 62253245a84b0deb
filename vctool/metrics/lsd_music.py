"""Log-spectral distance as the evaluation of one-shot timbre transfer has it (Cífka et al. 2021).

Both waves are brought to one RMS level, so that loudness does not count; of 128 mel bins in dB the
root mean square difference over time is taken in each bin, and then the mean over the bins.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from vctool import audio
from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.numba_cache import ensure_writable

TITLE = "LSD"
MEASURES = {
    "music_lsd": Measure(
        "LSD",
        "dB",
        "lower",
        "distance of log-mel from the target's, over time in every bin",
        overview=True,
    )
}
BOARDS = {"timbre": Stand(10)}
NEEDS = ("targets",)
RATE, N_FFT, HOP, N_MELS = 16000, 2048, 512, 128
RMS = 0.1
"""Level of both waves."""
SETTINGS = (
    f"RMS {RMS:g}, {RATE} Hz, {N_MELS} mel bins, window {N_FFT}, hop {HOP}, at most 80 dB below "
    "the loudest; root mean square over time, then the mean over bins"
)


def measure(row: Row) -> dict[str, Pooled]:
    """Pool a system's distances from the targets."""
    assert row.targets is not None
    outputs, targets = (
        one.once("music log-mel", partial(_all, one.waves, one.rate))
        for one in (row.outputs, row.targets)
    )
    found = [distance(one, other) for one, other in zip(outputs, targets, strict=True)]
    return {"music_lsd": ratio(np.array(found), np.ones(len(found)))}


def _all(waves: Sequence[np.ndarray], rate: int) -> list[np.ndarray]:
    return [log_mel(audio.resample(wave, rate, RATE)) for wave in waves]


def log_mel(wave: np.ndarray) -> np.ndarray:
    """Return the log-mel of a wave (T,) at `RATE`, levelled: (N_MELS, F) [dB]; time is axis 1."""
    ensure_writable()
    import librosa

    rms = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) if len(wave) else 0.0
    levelled = wave * (RMS / rms) if rms > 0 else wave
    padded = np.pad(levelled, (0, max(0, N_FFT - len(wave))))
    power = librosa.feature.melspectrogram(
        y=padded.astype(np.float32), sr=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS
    )
    return np.asarray(librosa.power_to_db(power))


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the distance of two log-mels, (bins, F) each; what is longer is cut.

    The mean over bins (axis 0) of the root of the mean over time (axis 1) of squared differences.
    """
    frames = min(one.shape[1], other.shape[1])
    squares = np.square(one[:, :frames] - other[:, :frames], dtype=np.float64)
    return float(np.sqrt(squares.mean(axis=1)).mean())

"""Spectral envelope of every wave that is scored: mel bands in dB and their cepstra."""

from functools import lru_cache

import numpy as np

from vctool.metrics.pitch import HOP, RATE
from vctool.numba_cache import ensure_writable

N_FFT = 512
"""Analysis window and FFT [samples at 16 kHz]: 32 ms."""
N_BANDS = 40
"""Mel bands between 60 Hz and `F_MAX`."""
F_MAX = 7600.0
"""Upper edge of the bands [Hz]: below every corpus's half rate, so bandwidth tells nothing."""
FLOOR_DB = 60.0
"""Bands lie no deeper than this below the utterance's strongest band [dB]."""
CEPSTRA = 12
"""Cepstral coefficients c1..c12; c0, the level, is left out."""


@lru_cache(maxsize=1)
def _filterbank() -> np.ndarray:
    ensure_writable()
    import librosa

    bank: np.ndarray = librosa.filters.mel(
        sr=RATE, n_fft=N_FFT, n_mels=N_BANDS, fmin=60.0, fmax=F_MAX
    )
    return bank


def power_frames(wave: np.ndarray, n_fft: int) -> np.ndarray:
    """Compute the Hann-windowed power spectrum of a wave at `RATE`.

    Args:
        wave: (T,), zero-padded at both ends so that frame k is centred on k * HOP.
        n_fft: window and FFT length [samples].

    Returns:
        (1 + T // HOP, 1 + n_fft // 2).
    """
    frames = 1 + len(wave) // HOP
    padded = np.pad(wave, (n_fft // 2, n_fft // 2 + HOP))
    windows = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::HOP][:frames]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    return np.asarray(np.abs(np.fft.rfft(windows * hann, axis=1)) ** 2)


def bands_db(wave: np.ndarray) -> np.ndarray:
    """Compute log mel bands: (1 + T // HOP, N_BANDS) [dB], 0 at the utterance's strongest."""
    power = power_frames(wave, N_FFT) @ _filterbank().T
    log = 10.0 * np.log10(np.maximum(power, 1e-12))
    return np.asarray(np.maximum(log - log.max(), -FLOOR_DB))


def cepstra(bands: np.ndarray) -> np.ndarray:
    """Turn bands (F, N_BANDS) [dB] into c1..c12 (F, CEPSTRA) by an orthonormal DCT-II."""
    from scipy.fft import dct

    return np.asarray(dct(bands, type=2, axis=1, norm="ortho")[:, 1 : 1 + CEPSTRA])


def active(bands: np.ndarray, range_db: float = 40.0) -> np.ndarray:
    """Mark frames whose strongest band is within `range_db` of the utterance's: (F,) of bool."""
    level = bands.max(axis=1)
    return np.asarray(level > level.max() - range_db)

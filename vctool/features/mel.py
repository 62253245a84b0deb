"""Log-mel spectrograms in torch, equal to librosa's, and their inversion to linear magnitude.

The mel scale, its triangles and their area normalisation are Slaney's (Auditory Toolbox, 1998),
as in `librosa.filters.mel`; the filterbank is built here so that nothing has to load librosa.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from vctool.features.settings import FeatureConfig

AMIN = 1e-10
"""Power is raised to at least this before the logarithm: -100 dB."""

_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_HZ_PER_MEL = 200.0 / 3.0
_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Map frequencies [Hz] to Slaney's mel scale: linear below 1 kHz, logarithmic above."""
    hz = np.asarray(hz, dtype=np.float64)
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _HZ_PER_MEL, above)


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Map Slaney's mel scale to frequencies [Hz]; the inverse of `hz_to_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, above)


def mel_frequencies(config: FeatureConfig) -> np.ndarray:
    """Return the edges of the triangles [Hz]: (n_mels + 2,); bin m peaks at entry m + 1."""
    top = config.rate / 2 if config.f_max is None else config.f_max
    low, high = hz_to_mel(np.array([config.f_min, top]))
    return mel_to_hz(np.linspace(low, high, config.n_mels + 2))


def mel_filterbank(config: FeatureConfig) -> Tensor:
    """Return the area-normalised triangles: (n_mels, 1 + n_fft // 2) float32.

    Row m rises linearly from edge m to m + 1, falls to m + 2, and has height
    2 / (edge[m + 2] - edge[m]).
    """
    edges = mel_frequencies(config)
    bins = np.arange(1 + config.n_fft // 2) * config.rate / config.n_fft
    ramps = edges[:, None] - bins
    widths = np.diff(edges)[:, None]
    rising, falling = -ramps[:-2] / widths[:-1], ramps[2:] / widths[1:]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return torch.from_numpy(weights.astype(np.float32))


@lru_cache(maxsize=8)
def _cached(config: FeatureConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the filterbank and the Hann window of a setting on a device."""
    window = torch.hann_window(config.window, periodic=True, device=device)
    return mel_filterbank(config).to(device), window


def mel_power(wave: Tensor, config: FeatureConfig) -> Tensor:
    """Return the power mel spectrogram; differentiable.

    Args:
        wave: (..., T) float32 at the config's rate, T >= 1.
        config: the settings.

    Returns:
        (..., n_mels, F) with F = 1 + T // hop_length; frame k is centred on sample
        k * hop_length, with zeros beyond both ends. With `mel_power` 1, the square of the mel sum
        of magnitudes.
    """
    filters, window = _cached(config, wave.device)
    flat = wave.reshape(-1, wave.shape[-1])
    spectrum = torch.stft(
        flat,
        config.n_fft,
        config.hop_length,
        config.window,
        window=window,
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    if config.mel_power == 1:
        # the gradient of the square root is infinite at zero
        mel = (filters @ power.clamp(min=AMIN * AMIN).sqrt()).square()
    else:
        mel = filters @ power
    return mel.reshape(*wave.shape[:-1], *mel.shape[-2:])


def power_to_db(power: Tensor, top_db: float | None = None) -> Tensor:
    """Return 10 log10(max(power, 1e-10)), floored at its maximum - top_db.

    Args:
        power: (..., n_mels, F); every leading index is one utterance with its own maximum.
        top_db: distance of the floor below the maximum [dB]; no such floor where None.
    """
    level = 10.0 * torch.log10(torch.clamp(power, min=AMIN))
    if top_db is None:
        return level
    return torch.maximum(level, level.amax(dim=(-2, -1), keepdim=True) - top_db)


def mel_distance(wave: Tensor, mel: Tensor, config: FeatureConfig) -> Tensor:
    """Return the mean absolute distance of clips from a target log-mel, in units of 10 dB.

    Differentiable in the wave. Frames whose window reaches beyond the clip do not count.

    Args:
        wave: (B, F * hop_length) float32, in which frame k is the k-th hop (`features.framing`).
        mel: (B, n_mels, F) [dB].
        config: the settings.
    """
    made = power_to_db(mel_power(wave[..., config.hop_length // 2 :], config))
    edge = min(-(-config.window // (2 * config.hop_length)), (mel.shape[-1] - 1) // 2)
    inner = slice(edge, mel.shape[-1] - edge)
    return (made - mel)[..., inner].abs().mean() / 10.0


def log_mel(wave: np.ndarray | Tensor, config: FeatureConfig) -> np.ndarray:
    """Return the log-mel spectrogram that the dump holds.

    Equals `librosa.power_to_db(librosa.feature.melspectrogram(...), top_db=config.top_db)`,
    transposed; of magnitudes, `amplitude_to_db`.

    Args:
        wave: (T,) at the config's rate.
        config: the settings.

    Returns:
        (F, n_mels) float32 [dB], floored at its own maximum - top_db.
    """
    found = level(wave, config)
    return floored(found, float(found.max()), config.top_db)


def level(wave: np.ndarray | Tensor, config: FeatureConfig) -> np.ndarray:
    """Return the log-mel of a wave (T,) without the `top_db` floor: (F, n_mels) float32 [dB]."""
    if isinstance(wave, np.ndarray):
        wave = torch.from_numpy(np.ascontiguousarray(wave, dtype=np.float32))
    with torch.no_grad():
        decibel = power_to_db(mel_power(wave, config))
    result: np.ndarray = decibel.T.contiguous().cpu().numpy()
    return result


def floored(level: np.ndarray, peak_db: float, top_db: float) -> np.ndarray:
    """Floor a log-mel at `top_db` below the maximum of the recording [dB]."""
    # subtracted in float32, as in `power_to_db`
    return np.maximum(level, np.float32(peak_db) - np.float32(top_db))


class MelInversion(nn.Module):
    """Log-mel to linear magnitude: a non-negative spectrum whose mel spectrogram is the given one.

    Richardson-Lucy updates (Richardson 1972; Lee and Seung 2001 for the divergence that they
    minimise), `x <- x * A^T(y / A x) / A^T 1`, from a smooth interpolation of the mel bins. Unlike
    librosa's least squares, whose L-BFGS-B stops almost where it starts, the result stays positive
    and smooth between harmonics and fits quiet bins as well as loud ones. As the triangles are
    sparse, an update costs a few passes over memory.
    """

    filters: Tensor
    transposed: Tensor
    row_sum: Tensor
    column_scale: Tensor

    def __init__(self, config: FeatureConfig, iterations: int = 32) -> None:
        super().__init__()
        dense = mel_filterbank(config)
        self.iterations = iterations
        self.power = config.mel_power
        columns = dense.sum(dim=0)[:, None]
        # Bins that no triangle covers stay at zero power.
        scale = torch.where(columns > 0, 1.0 / columns.clamp(min=AMIN), 0.0)
        buffers = {
            "filters": dense.to_sparse().coalesce(),
            "transposed": dense.T.contiguous().to_sparse().coalesce(),
            "row_sum": dense.sum(dim=1)[:, None].clamp(min=AMIN),
            "column_scale": scale,
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)

    @torch.no_grad()
    def forward(self, log_mel: Tensor) -> Tensor:
        """Return the linear magnitude (K, F) of a log-mel (F, n_mels) [dB], K = 1 + n_fft // 2."""
        target = torch.pow(10.0, log_mel.float().T * (self.power / 20.0)).contiguous()
        power = torch.sparse.mm(self.transposed, target / self.row_sum).mul_(self.column_scale)
        for _ in range(self.iterations):
            modelled = torch.sparse.mm(self.filters, power).clamp_(min=1e-20)
            ratio = torch.div(target, modelled, out=modelled)
            power.mul_(torch.sparse.mm(self.transposed, ratio).mul_(self.column_scale))
        return power.sqrt_() if self.power == 2 else power

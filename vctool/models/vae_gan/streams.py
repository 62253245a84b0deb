"""Convert between features on disk and the channels of the networks."""

import numpy as np
import torch
from torch import Tensor, nn

from vctool.features import stats
from vctool.features.mel import AMIN, mel_filterbank
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats, voiced

LOUD_PERCENTILE = 95.0
"""The level of an utterance is this percentile of its frames' loudest bins."""

ACTIVE_DB, BELOW_ACTIVE_DB = 40.0, 10.0
"""However long the pauses, the level is at most `BELOW_ACTIVE_DB` under the same percentile of only
those frames that are within `ACTIVE_DB` of the loudest; corpora of utterances have up to 6 [dB]."""

GRID = 128
"""F0 values that `Harmonics` is tabulated at, evenly spaced in log-F0."""

LEAST_SCALE, MOST_SCALE = 0.5, 2.0
"""Bounds of how much narrower or wider an utterance's F0 contour may become."""


def level(mel: np.ndarray) -> float:
    """Return an utterance's level [dB] from its log-mel (F, n_mels).

    One word in a minute of silence so stays within the range of the training data, unclipped.
    """
    loudest = mel.max(axis=1)
    active = loudest[loudest >= loudest.max() - ACTIVE_DB]
    whole, heard = (float(np.percentile(one, LOUD_PERCENTILE)) for one in (loudest, active))
    return max(whole, heard - BELOW_ACTIVE_DB)


def normalise(mel: np.ndarray, offset: float, config: FeatureConfig) -> np.ndarray:
    """Bring a log-mel (F, n_mels) [dB] to 0 at `top_db` below a level and 1 at it."""
    scaled = np.maximum(0.0, 1.0 + (mel - offset) / config.top_db)
    return scaled.astype(np.float32)


def denormalise(values: np.ndarray, offset: float, config: FeatureConfig) -> np.ndarray:
    """Undo `normalise`; values below its floor stay at the floor."""
    mel = offset + (np.maximum(values, 0.0) - 1.0) * config.top_db
    return np.maximum(mel, mel.max() - config.top_db).astype(np.float32)


def move_f0(f0: np.ndarray, target: SpeakerStats, voice: SpeakerStats | None = None) -> np.ndarray:
    """Give F0 (F,) [Hz] the target's mean and deviation of log-F0; unvoiced frames stay 0.

    Uses the utterance's own statistics, since the source speaker may be unknown: those of `voice`
    where `f0` is only a block of it. A short utterance's deviation is unreliable, so the contour is
    scaled by `LEAST_SCALE` to `MOST_SCALE`.
    """
    frames = voiced([f0])
    if not len(frames):
        return f0.astype(np.float32)
    logs = np.log(frames)
    mean, std = logs.mean(), logs.std()
    if voice is not None:
        mean, std = voice.log_f0_mean, voice.log_f0_std
    ratio = np.clip(target.log_f0_std / max(std, 1e-3), LEAST_SCALE, MOST_SCALE)
    moved = stats.move_f0(f0, mean, 1.0, target.log_f0_mean, ratio)
    return moved.astype(np.float32)


def loudness(mel: Tensor, top_db: float) -> Tensor:
    """Return the mean power over bins of normalised mels (B, n_mels, F), scaled as they are.

    Returns:
        (B, F): 1 at the level of the utterance, 0 at `top_db` below it. Float32, or float64 as the
        mels are.
    """
    power = torch.pow(10.0, (precise(mel) - 1.0) * (top_db / 10.0)).mean(dim=1)
    return 1.0 + torch.log10(power.clamp(min=AMIN)) * (10.0 / top_db)


def precise(values: Tensor) -> Tensor:
    """Return float32 of half precision, and float64 as it is."""
    return values if values.dtype == torch.float64 else values.float()


class Harmonics(nn.Module):
    """Pitch conditioning of a decoder: where harmonics lie in the mel, voicing, and log-F0.

    Args:
        config: the feature settings.
    """

    table: Tensor

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.low, self.high = float(np.log(config.f0_floor)), float(np.log(config.f0_ceil))
        self.channels = config.n_mels + 2
        self.register_buffer("table", self._tabulate(config), persistent=False)

    def _tabulate(self, config: FeatureConfig) -> Tensor:
        """Mel spectra of pulse trains over that of a flat spectrum: (GRID, n_mels), in bel."""
        bins = np.arange(1 + config.n_fft // 2) * config.rate / config.n_fft
        # A Hann window's main lobe reaches two bins of its own length to either side.
        lobe = 2.0 * config.rate / config.window
        filters = mel_filterbank(config).numpy()
        # Triangles narrower than a bin contain no FFT bin and give no information.
        flat = np.maximum(filters.sum(axis=1), AMIN)
        rows = []
        for f0 in np.exp(np.linspace(self.low, self.high, GRID)):
            away = np.abs(bins - np.maximum(1, np.round(bins / f0)) * f0)
            comb = np.where(away < lobe, 0.5 + 0.5 * np.cos(np.pi * np.minimum(away / lobe, 1)), 0)
            rows.append(np.log10(np.maximum(filters @ comb**config.mel_power / flat, 1e-2)))
        return torch.from_numpy(np.stack(rows).astype(np.float32))

    def forward(self, f0: Tensor) -> Tensor:
        """Describe F0 (B, F) [Hz], 0 where unvoiced: (B, n_mels + 2, F)."""
        sounding = f0 > 0
        logs = torch.log(torch.where(sounding, f0, 1.0))
        place = ((logs - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
        exact = place * (GRID - 1)
        below = exact.floor().long().clamp(max=GRID - 2)
        share = (exact - below)[..., None]
        comb = (1 - share) * self.table[below] + share * self.table[below + 1]
        known = torch.cat([comb, (2.0 * place - 1.0)[..., None]], dim=-1) * sounding[..., None]
        return torch.cat([known, sounding[..., None].to(known)], dim=-1).transpose(1, 2)


def cosine_basis(bins: int, count: int) -> Tensor:
    """Return the first rows of the orthonormal cosine transform (DCT-II): (count, bins)."""
    order, place = np.arange(count)[:, None], (np.arange(bins) + 0.5) / bins
    rows = np.sqrt(2.0 / bins) * np.cos(np.pi * order * place)
    rows[0] = np.sqrt(1.0 / bins)
    return torch.from_numpy(rows.astype(np.float32))

"""Phase reconstruction by the fast Griffin-Lim algorithm, and the mel vocoder built on it.

Perraudin, Balazs and Sondergaard, "A fast Griffin-Lim algorithm" (2013): after projecting onto
the consistent spectrograms, step on by `momentum` times the change since the last projection.
Differs from librosa's in precision (float32), in one pass over the whole utterance, and in the
phase it starts from.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vctool.errors import ConfigError
from vctool.features.mel import MelInversion
from vctool.features.settings import FeatureConfig
from vctool.vocoders.stored.agreement import require_kind

ITERATIONS = 16
"""Number of projections; more give less hiss and take proportionally more time."""
MOMENTUM = 0.99
SEED = 0


def griffin_lim(
    magnitude: Tensor,
    hop_length: int,
    samples: int,
    iterations: int = ITERATIONS,
    momentum: float = MOMENTUM,
    seed: int = SEED,
    win_length: int | None = None,
) -> Tensor:
    """Find a wave whose STFT (Hann window) has a given magnitude.

    Args:
        magnitude: (K, F) float32, K = 1 + n_fft // 2; frame k is centred on sample k * hop_length.
        hop_length: step between frames [samples], at most half the window.
        samples: length of the wave; beyond the last frame's reach it is zero.
        iterations: number of projections.
        momentum: 0 is the classic algorithm.
        seed: seed of the initial phase.
        win_length: length of the window, centred in the FFT [samples]; n_fft where None.

    Returns:
        (samples,) float32.
    """
    n_fft = 2 * (magnitude.shape[0] - 1)
    length = n_fft if win_length is None else win_length
    assert hop_length <= length // 2 <= n_fft // 2, (hop_length, length, n_fft)
    # The last frame is repeated once, since samples may reach beyond its centre, where its own
    # window fades to zero; and there must be at least one window's length to overlap in.
    frames = magnitude.shape[1]
    extra = max(1, 1 + -(-n_fft // hop_length) - frames)
    magnitude = torch.cat([magnitude, magnitude[:, -1:].expand(-1, extra)], dim=1)
    window = torch.hann_window(length, device=magnitude.device)
    # Drawn on the CPU, so that every device starts from the same phase.
    generator = torch.Generator().manual_seed(seed)
    phase = 2.0 * torch.pi * torch.rand(magnitude.shape, generator=generator)
    spectrum = torch.polar(magnitude, phase.to(magnitude.device))
    before: Tensor | None = None
    for _ in range(iterations):
        wave = torch.istft(spectrum, n_fft, hop_length, length, window)
        rebuilt = torch.stft(
            wave, n_fft, hop_length, length, window, pad_mode="constant", return_complex=True
        )
        ahead = rebuilt if before is None else torch.lerp(before, rebuilt, 1.0 + momentum)
        spectrum = ahead * (magnitude / ahead.abs().clamp(min=1e-16))
        before = rebuilt
    wave = torch.istft(spectrum, n_fft, hop_length, length, window)
    reach = min(samples, (frames - 1) * hop_length + length // 2)
    wave = wave[:reach]
    return torch.nn.functional.pad(wave, (0, samples - len(wave)))


@lru_cache(maxsize=4)
def _inversion(config: FeatureConfig) -> MelInversion:
    return MelInversion(config)


class Vocoder:
    """Log-mel to wave: mel inversion, then Griffin-Lim over the whole utterance."""

    reads: tuple[str, ...] = ("mel",)
    """The kinds of features that it turns into sound."""
    features: FeatureConfig | None = None
    """It has no weights, and takes all features that it accepts."""

    def __init__(self, iterations: int = ITERATIONS) -> None:
        self.iterations = iterations

    def accepts(self, config: FeatureConfig, kinds: Sequence[str]) -> None:
        """Refuse features that it cannot turn into sound.

        Raises:
            ConfigError: they hold no `mel`, or more mel bins than the STFT has.
        """
        require_kind("griffin_lim", self.reads[0], kinds)
        if config.n_mels > config.n_fft // 2:
            raise ConfigError(
                f"features: n_mels = {config.n_mels} is more than griffin_lim can invert at "
                f"n_fft = {config.n_fft}; at most {config.n_fft // 2}"
            )

    def synthesise(
        self, features: Mapping[str, np.ndarray], config: FeatureConfig, samples: int
    ) -> np.ndarray:
        """Turn `features["mel"]`, (F, n_mels) [dB], into a wave (samples,) float32."""
        # A copy, since the array may be read-only, which torch warns of.
        level = torch.tensor(features["mel"], dtype=torch.float32)
        with torch.no_grad():
            wave = griffin_lim(
                _inversion(config)(level),
                config.hop_length,
                samples,
                self.iterations,
                win_length=config.win_length,
            )
        result: np.ndarray = wave.numpy()
        return result

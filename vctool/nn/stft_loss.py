"""Multi-resolution STFT loss (Yamamoto, Song and Kim, "Parallel WaveGAN", 2020).

It compares magnitudes only and ignores phase.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

FLOOR = 2e-3
"""Magnitudes are raised to this: 100 dB below a full-scale sine, where mels have their floor."""
QUIET = 0.05
"""Least RMS magnitude that spectral convergence divides by, so that one silent clip does not
outweigh a batch of speech; a voice has about 1."""


class MultiResolutionStft(nn.Module):
    """Spectral convergence plus L1 of natural log magnitudes, averaged over resolutions.

    It is computed for each example and averaged over the batch.

    Args:
        sizes: FFT and window lengths [samples]; the hop is a quarter of each.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        for size in self.sizes:
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)

    def forward(self, made: Tensor, true: Tensor) -> Tensor:
        """Return the distance of waves (B, T), a scalar; differentiable in `made`."""
        total = made.new_zeros(())
        for size in self.sizes:
            ours, theirs = (self._magnitude(wave, size) for wave in (made, true))
            apart = (ours - theirs).square().sum(dim=(1, 2)).clamp_min(1e-12).sqrt()
            norm = (
                theirs.square().sum(dim=(1, 2)).sqrt().clamp_min(QUIET * theirs[0].numel() ** 0.5)
            )
            total = total + (apart / norm).mean()
            total = total + (ours.log() - theirs.log()).abs().mean()
        return total / len(self.sizes)

    def _magnitude(self, wave: Tensor, size: int) -> Tensor:
        window = getattr(self, f"window_{size}")
        spectrum = torch.stft(
            wave.float(), size, size // 4, window=window, center=False, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return power.clamp_min(FLOOR**2).sqrt()

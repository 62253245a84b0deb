"""Short-time spectra of hops, computed from left to right: two hops a frame, square-root Hann.

The window is used before and after, and its square adds up to one over neighbouring frames, so that
a spectrum that is not changed gives its sound back, one hop late.
"""

import torch
from torch import Tensor, nn

from vctool.nn.fourier import Transform


class Spectra(nn.Module):
    """Discrete Fourier transform of frames, and its inverse.

    Args:
        hop: step between frames, half a frame [samples].
        by_matrix: multiply by matrices instead of using FFTs: plain operations that every runtime
            has, in float64 (`Transform`).
    """

    window: Tensor

    def __init__(self, hop: int, by_matrix: bool = False) -> None:
        super().__init__()
        self.hop, self.bins = hop, hop + 1
        window = torch.hann_window(2 * hop, dtype=torch.float64).sqrt()
        self.transform = Transform(2 * hop) if by_matrix else None
        self.register_buffer("window", window if by_matrix else window.float(), persistent=False)

    def analyse(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return real and imaginary parts (..., hop + 1) of frames (..., 2 * hop)."""
        if self.transform is not None:
            real, imaginary = self.transform(frames.double() * self.window)
            return real.float(), imaginary.float()
        spectrum = torch.fft.rfft(frames * self.window)
        return spectrum.real, spectrum.imag

    def synthesise(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Return windowed frames (..., 2 * hop) of spectra, the inverse of `analyse`."""
        if self.transform is not None:
            frames = self.transform.inverse(real.double(), imaginary.double())
            return (frames * self.window).float()
        return torch.fft.irfft(torch.complex(real, imaginary), 2 * self.hop) * self.window


def overlapped(frames: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Add the halves of neighbouring frames.

    Args:
        frames: (B, F, 2 * hop).
        before: (B, hop), the second half of the frame before.

    Returns:
        (B, F * hop), one hop behind the frames' ends, and the second half of the last frame.
    """
    first, second = frames.chunk(2, dim=-1)
    joined = torch.cat([before[:, None], second[:, :-1]], dim=1) + first
    return joined.flatten(1), second[:, -1]

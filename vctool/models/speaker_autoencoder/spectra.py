"""Short-time spectra of hops, computed from left to right: two hops a frame, square-root Hann.

The window is used before and after, and its square adds up to one over neighbouring frames, so that
a spectrum that is not changed gives its sound back, one hop late.
"""

import math

import torch
from torch import Tensor, nn


class Spectra(nn.Module):
    """Discrete Fourier transform of frames, and its inverse.

    Args:
        hop: step between frames, half a frame [samples].
        by_matrix: multiply by matrices instead of using FFTs: slower, and of plain operations that
            every runtime has.
    """

    window: Tensor
    forward_matrix: Tensor
    inverse_matrix: Tensor

    def __init__(self, hop: int, by_matrix: bool = False) -> None:
        super().__init__()
        self.hop, self.bins, self.by_matrix = hop, hop + 1, by_matrix
        window = torch.hann_window(2 * hop, dtype=torch.float64).sqrt()
        self.register_buffer("window", window.float(), persistent=False)
        if by_matrix:
            angle = torch.arange(2 * hop, dtype=torch.float64)[:, None] * torch.arange(hop + 1)
            angle = (angle % (2 * hop)) * (math.pi / hop)
            both = torch.cat([angle.cos(), -angle.sin()], dim=1)
            scale = torch.full((hop + 1,), 1.0 / hop, dtype=torch.float64)
            scale[0] = scale[-1] = 0.5 / hop
            back = both.T * scale.repeat(2)[:, None]
            self.register_buffer(
                "forward_matrix", (window[:, None] * both).float(), persistent=False
            )
            self.register_buffer("inverse_matrix", (back * window).float(), persistent=False)

    def analyse(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return real and imaginary parts (..., hop + 1) of frames (..., 2 * hop)."""
        if self.by_matrix:
            real, imaginary = (frames @ self.forward_matrix).chunk(2, dim=-1)
            return real, imaginary
        spectrum = torch.fft.rfft(frames * self.window)
        return spectrum.real, spectrum.imag

    def synthesise(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Return windowed frames (..., 2 * hop) of spectra, the inverse of `analyse`."""
        if self.by_matrix:
            return torch.cat([real, imaginary], dim=-1) @ self.inverse_matrix
        return torch.fft.irfft(torch.complex(real, imaginary), 2 * self.hop) * self.window


def framed(hops: Tensor, length: int, first: int = 0) -> Tensor:
    """Join neighbouring hops to overlapping frames, up to the last hop.

    Args:
        hops: (B, H, hop).
        length: hops in a frame.
        first: the first hop of the first frame.

    Returns:
        (B, H - first - length + 1, length * hop).
    """
    # ends count from the last hop: a tracer must not take a number of hops for a constant
    ends = [n - length + 1 or None for n in range(length)]
    return torch.cat([hops[:, first + n : end] for n, end in enumerate(ends)], dim=-1)


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

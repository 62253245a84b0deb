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


class Transform(nn.Module):
    """Discrete Fourier transform of real frames in two steps, by small matrices in float64.

    A frame of R * S samples is a matrix; its columns are transformed, turned, and then its rows
    (Cooley and Tukey, "An algorithm for the machine calculation of complex Fourier series", 1965):

        X[u + R v] = sum_s W^(s u) W_S^(s v) sum_r x[S r + s] W_R^(r u)

    In float32 the bands far below a pure tone would be those of rounding, which differs with the
    number of frames that a matrix product has.

    Args:
        length: of a frame, even.
    """

    columns: Tensor
    rows: Tensor
    rows_back: Tensor
    columns_back: Tensor
    turn: Tensor
    scale: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        first = next(n for n in range(math.isqrt(length), 0, -1) if length % n == 0)
        second = length // first
        self.length, self.first, self.second = length, first, second
        self.bins = length // 2 + 1
        self.blocks = -(-self.bins // first)  # of bins, `first` each
        rows, columns = torch.arange(first), torch.arange(second)
        places = torch.arange(self.blocks)
        # each bin stands for its mirror image too, and the first and the last have none
        scale = torch.full((self.blocks * first,), 2.0 / length, dtype=torch.float64)
        scale[0] = scale[self.bins - 1] = 1.0 / length
        tables = {
            "columns": _rotation(rows[:, None] * rows, first)[:first],
            "rows": _rotation(columns[:, None] * places, second),
            "rows_back": _rotation(-places[:, None] * columns, second),
            "columns_back": _rotation(-rows[:, None] * rows, first)[:, :first],
            "turn": _rotation(columns[:, None] * rows, length)[:second],
            "scale": scale[: self.bins],
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return real and imaginary parts (..., bins) of frames (..., length), all float64."""
        matrix = frames.unflatten(-1, (self.first, self.second)).transpose(-1, -2)
        both = self._turned(matrix @ self.columns, 1.0)
        parts = both.transpose(-1, -2) @ self.rows
        real, imaginary = (
            part.transpose(-1, -2).flatten(-2)[..., : self.bins] for part in parts.chunk(2, dim=-1)
        )
        return real, imaginary

    def inverse(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Return frames (..., length) of spectra (..., bins), all float64."""
        more = self.blocks * self.first - self.bins
        parts = [
            nn.functional.pad(part * self.scale, (0, more))
            .unflatten(-1, (self.blocks, self.first))
            .transpose(-1, -2)
            for part in (real, imaginary)
        ]
        parts = [
            part.transpose(-1, -2)
            for part in (torch.cat(parts, dim=-1) @ self.rows_back).chunk(2, dim=-1)
        ]
        both = self._turned(torch.cat(parts, dim=-1), -1.0)
        matrix = torch.cat(both.chunk(2, dim=-2), dim=-1) @ self.columns_back
        return matrix.transpose(-1, -2).flatten(-2)

    def _turned(self, both: Tensor, sign: float) -> Tensor:
        """Turn (..., second, 2 * first), real parts and imaginary ones; they come as 2 * second."""
        real, imaginary = both.chunk(2, dim=-1)
        cosine, sine = self.turn.chunk(2, dim=-1)
        sine = sign * sine
        return torch.cat([real * cosine - imaginary * sine, real * sine + imaginary * cosine], -2)


def _rotation(turns: Tensor, of: int) -> Tensor:
    """Return what multiplies rows of real and imaginary parts by exp(-2 pi i turns / of).

    (2 A, 2 B) float64 of whole numbers (A, B).
    """
    angle = (turns % of).double() * (2 * math.pi / of)
    cosine, sine = angle.cos(), -angle.sin()
    return torch.cat([torch.cat([cosine, sine], dim=1), torch.cat([-sine, cosine], dim=1)])


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

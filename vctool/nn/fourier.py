"""Fourier transforms of frames, by FFT where gradients are wanted and by matrices in real time.

Both give real and imaginary parts apart: complex tensors are no inputs of an ONNX graph, and the
inverse transform of torch is none of its operations.
"""

import math

import torch
from torch import Tensor, nn


class Fft(nn.Module):
    """Discrete Fourier transform of real frames by FFT, in the precision that they come in.

    Args:
        length: of a frame, even.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length, self.bins = length, length // 2 + 1

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return real and imaginary parts (..., bins) of frames (..., length)."""
        spectrum = torch.fft.rfft(frames)
        return spectrum.real, spectrum.imag

    def inverse(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Return frames (..., length) of spectra (..., bins)."""
        return torch.fft.irfft(torch.complex(real, imaginary), self.length)


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
        # not by `unflatten`, after which the tracer takes the number of frames for a constant
        matrix = frames.reshape(*frames.shape[:-1], self.first, self.second).transpose(-1, -2)
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
            .reshape(*part.shape[:-1], self.blocks, self.first)
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

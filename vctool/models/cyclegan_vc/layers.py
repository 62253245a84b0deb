"""Gated convolutions (Dauphin et al., 2017) with instance normalisation, in one and two dimensions.

Tensors are (B, C, F), or (B, C, D, F) where D is the features' own axis.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class InstanceNorm(nn.GroupNorm):
    """Instance normalisation with a trained scale and offset (Ulyanov et al., 2016).

    It is group normalisation with as many groups as channels, which is several times faster on a
    CPU than torch's own layer.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)


class PixelShuffle1d(nn.Module):
    """Interleave pairs of channels in time: (B, 2C, F) -> (B, C, 2F) (Shi et al., 2016).

    Channel 2c becomes the even frames of channel c, channel 2c + 1 the odd ones. A bare reshape to
    (B, C, 2F) instead would put them one after the other, as the two halves of the segment.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Double the frame rate."""
        batch, channels, frames = x.shape
        pairs = x.view(batch, channels // 2, 2, frames)
        return pairs.transpose(2, 3).reshape(batch, channels // 2, 2 * frames)


class Gated1d(nn.Module):
    """Convolution, normalisation and gate: (B, inside, F) -> (B, outside, F / stride * up).

    Args:
        inside: channels in.
        outside: channels out; the convolution makes twice as many, half of them the gates.
        kernel: odd width [frames].
        stride: frames per output frame.
        up: 2 doubles the frame rate by `PixelShuffle1d`.
        norm: whether to normalise before the gate.
    """

    def __init__(
        self,
        inside: int,
        outside: int,
        kernel: int,
        stride: int = 1,
        up: int = 1,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inside, 2 * outside * up, kernel, stride, kernel // 2)
        self.shuffle = PixelShuffle1d() if up == 2 else nn.Identity()
        self.norm = InstanceNorm(2 * outside) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Compute the gated features."""
        return F.glu(self.norm(self.shuffle(self.conv(x))), dim=1)


class Gated2d(nn.Module):
    """`Gated1d` over features and frames: (B, inside, D, F) -> (B, outside, D', F').

    Args:
        inside: channels in.
        outside: channels out.
        kernel: odd width over features and frames.
        stride: over features and frames.
        up: 2 doubles both axes.
        norm: whether to normalise before the gate.
    """

    def __init__(
        self,
        inside: int,
        outside: int,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        up: int = 1,
        norm: bool = True,
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.conv = nn.Conv2d(inside, 2 * outside * up * up, kernel, stride, padding)
        self.shuffle = nn.PixelShuffle(up) if up > 1 else nn.Identity()
        self.norm = InstanceNorm(2 * outside) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Compute the gated features."""
        return F.glu(self.norm(self.shuffle(self.conv(x))), dim=1)


class Residual1d(nn.Module):
    """Residual block: gated convolution, convolution, normalisation; (B, channels, F) to the same.

    Args:
        channels: channels in and out.
        hidden: channels after the gate.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.gated = Gated1d(channels, hidden, 3)
        self.conv = nn.Conv1d(hidden, channels, 3, padding=1)
        self.norm = InstanceNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Add the output of the layers to the input."""
        inner: Tensor = self.norm(self.conv(self.gated(x)))
        return x + inner

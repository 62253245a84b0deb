"""Wave-U-Net over feature frames: the bins are the channels, time is the only axis convolved.

After Stoller, Ewert and Dixon, "Wave-U-Net" (ISMIR 2018), in the form that the published system
runs on mel frames: unpadded convolutions, fixed low-pass resampling by two, one linear output. What
differs: context is taken on both sides alike, so that output frame k is centred on input frame k;
the resampler keeps the level (zero-stuffing halves it); nothing is clamped, in training or after.

A level is two convolutions and a decimation, and on the way up its mirror. With kernel k, an input
of n frames and three blocks of width 3 the arithmetic is

    289 -> 287 -> 285 -> 143 -> 141 -> 139 -> 70 -> 68 -> 135 -> 133 -> 131 -> 261 -> 259 -> 257

so 289 = 257 + 2 * 16 frames go in for 257 to come out.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = 15
"""Length of the resampling low-pass [frames]."""


class WaveUNet(nn.Module):
    """Map channels to channels, frame by frame, seeing `context` frames to each side.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        channels: width before each level and at the bottleneck; `len(channels) - 1` levels.
        kernel: length of every convolution [frames], odd.
        zero_output: start from an output of zero (for a residual branch).

    Shape:
        (B, in_channels, F) to (B, out_channels, F), any F >= 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (1024, 2048, 4096),
        kernel: int = 3,
        zero_output: bool = False,
    ) -> None:
        super().__init__()
        assert kernel % 2 == 1, kernel
        assert len(channels) >= 2, channels
        self.kernel = kernel
        self.levels = len(channels) - 1
        self.down_shortcut = nn.ModuleList()
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        self.up_merge = nn.ModuleList()
        width = in_channels
        for narrow, wide in itertools.pairwise(channels):
            self.down_shortcut.append(nn.Conv1d(width, narrow, kernel))
            self.down.append(nn.Conv1d(narrow, wide, kernel))
            width = wide
        self.bottleneck = nn.Conv1d(width, width, kernel)
        for narrow in reversed(channels[:-1]):
            self.up.append(nn.Conv1d(width, narrow, kernel))
            self.up_merge.append(nn.Conv1d(2 * narrow, narrow, kernel))
            width = narrow
        self.output = nn.Conv1d(width, out_channels, 1)
        if zero_output:
            nn.init.zeros_(self.output.weight)
            assert self.output.bias is not None
            nn.init.zeros_(self.output.bias)
        self.register_buffer("low_pass", half_band(), persistent=False)
        self.context = self._context()

    low_pass: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, F) for (B, in_channels, F)."""
        frames = x.shape[-1]
        _, longest = self._lengths(self._bottleneck_for(frames))
        spare = longest - 2 * self.context - frames
        x = F.pad(x, (self.context, self.context + spare), mode="replicate")
        shortcuts = []
        for shortcut, down in zip(self.down_shortcut, self.down, strict=True):
            x = _activate(shortcut(x))
            shortcuts.append(x)
            x = self._decimate(_activate(down(x)))
        x = _activate(self.bottleneck(x))
        for up, merge in zip(self.up, self.up_merge, strict=True):
            x = _activate(up(self._interpolate(x)))
            x = torch.cat([_centre(shortcuts.pop(), x.shape[-1]), x], dim=1)
            x = _activate(merge(x))
        return self.output(x)[..., :frames]

    def _decimate(self, x: Tensor) -> Tensor:
        """Low-pass and keep every second frame: 2m - 1 to m."""
        return self._filter(x, stride=2)

    def _interpolate(self, x: Tensor) -> Tensor:
        """Put a zero between frames and low-pass with gain two: m to 2m - 1."""
        batch, channels, frames = x.shape
        stuffed = x.new_zeros(batch, channels, 2 * frames)
        stuffed[..., ::2] = 2.0 * x
        return self._filter(stuffed[..., :-1], stride=1)

    def _filter(self, x: Tensor, stride: int) -> Tensor:
        half = TAPS // 2
        # Reflection needs more frames than it adds; the shortest clips repeat their edge instead.
        mode = "reflect" if x.shape[-1] > half else "replicate"
        batch, channels, _ = x.shape
        padded = F.pad(x, (half, half), mode=mode).reshape(batch * channels, 1, -1)
        filtered = F.conv1d(padded, self.low_pass.to(x.dtype), stride=stride)
        return filtered.reshape(batch, channels, -1)

    def _lengths(self, bottleneck: int) -> tuple[int, int]:
        """Return output and input length for a length after the bottleneck's decimations."""
        loss = self.kernel - 1
        into = bottleneck + loss
        out = bottleneck
        for _ in range(self.levels):
            into = 2 * into - 1 + 2 * loss
            out = 2 * out - 1 - 2 * loss
        return out, into

    def _bottleneck_for(self, frames: int) -> int:
        bottleneck = 1
        while self._lengths(bottleneck)[0] < frames:
            bottleneck += 1
        return bottleneck

    def _context(self) -> int:
        out, into = self._lengths(self._bottleneck_for(1))
        assert (into - out) % 2 == 0, (into, out)
        return (into - out) // 2


def half_band() -> Tensor:
    """Return the (1, 1, 15) Blackman-windowed sinc that keeps the lower half of the band."""
    n = torch.arange(TAPS, dtype=torch.float64) - TAPS // 2
    window = torch.blackman_window(TAPS + 2, periodic=False, dtype=torch.float64)[1:-1]
    taps = torch.sinc(n / 2) * window
    return (taps / taps.sum()).to(torch.float32).reshape(1, 1, TAPS)


def _activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.01)


def _centre(x: Tensor, frames: int) -> Tensor:
    spare = x.shape[-1] - frames
    assert spare >= 0 and spare % 2 == 0, (x.shape, frames)
    return x[..., spare // 2 : spare // 2 + frames]

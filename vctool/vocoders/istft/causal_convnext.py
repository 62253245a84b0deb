"""The ConvNeXt blocks of `convnext` that see no later frame: every padding is on the left.

What came before a chunk is passed in and returned, so that whole clips and single frames are
computed alike. In float64 convolutions are sums of products, since ONNX Runtime convolves nothing
but float32; what they see is rounded to float32 first, as what is remembered is.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vctool.vocoders.istft.convnext import begin_small

KERNEL = 7
"""Frames that a convolution sees: the present one and those before."""

Memory = Mapping[str, Tensor]
"""What must be remembered between chunks, by name, each (B, ..., frames) float32."""


class CausalConv(nn.Conv1d):
    """A convolution over frames (B, C, F) that is told what came before them."""

    def __init__(self, inputs: int, outputs: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, KERNEL, groups=groups)

    def extend(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, outputs, F) in the precision of `x`, and the next `before` (B, C, 6)."""
        joined = torch.cat([before, x.float()], dim=-1)
        after = joined[..., 1 - KERNEL :]
        if x.dtype == torch.float32:
            return self(joined), after
        assert self.bias is not None
        seen, made = joined.to(x.dtype), self.bias[:, None]
        for place in range(KERNEL):
            part = seen[..., place : place - KERNEL + 1 or None]
            weight = self.weight[..., place]
            made = made + (weight * part if self.groups > 1 else weight @ part)
        return made, after


class CausalBlock(nn.Module):
    """Depthwise convolution over time, then an MLP for each frame, added to the input."""

    def __init__(self, channels: int, hidden: int, scale: float) -> None:
        super().__init__()
        self.depthwise = CausalConv(channels, channels, channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen = nn.Linear(channels, hidden)
        self.narrow = nn.Linear(hidden, channels)
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Refine frames (B, channels, F)."""
        y, after = self.depthwise.extend(x, before)
        y = self.norm(y.transpose(1, 2))
        # the exact function has no float64 kernel in ONNX Runtime
        y = self.narrow(nn.functional.gelu(self.widen(y), approximate="tanh"))
        return x + (self.scale * y).transpose(1, 2), after


class CausalConvNext(nn.Module):
    """A stack of blocks between two norms: (B, inputs, F) to (B, width, F).

    Args:
        name: prefix of what it remembers.
        inputs: input channels.
        width: channels of the blocks.
        blocks: number of blocks.
        ratio: hidden width of their MLPs over `width`.
    """

    def __init__(self, name: str, inputs: int, width: int, blocks: int, ratio: int = 3) -> None:
        super().__init__()
        self.names = [f"{name}{index}" for index in range(blocks + 1)]
        self.embed = CausalConv(inputs, width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.blocks = nn.ModuleList(
            CausalBlock(width, ratio * width, 1.0 / blocks) for _ in range(blocks)
        )
        self.last = nn.LayerNorm(width, eps=1e-6)
        begin_small(self)

    @property
    def memory(self) -> dict[str, tuple[int, int]]:
        """Shapes of what it remembers, by name, without the batch; all zero at first."""
        inputs, width = self.embed.in_channels, self.embed.out_channels
        return {
            name: (width if index else inputs, KERNEL - 1) for index, name in enumerate(self.names)
        }

    def forward(self, x: Tensor, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:
        """Embed and refine frames; return what to remember, too."""
        after: dict[str, Tensor] = {}
        x, after[self.names[0]] = self.embed.extend(x, memory[self.names[0]])
        x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        for name, block in zip(self.names[1:], self.blocks, strict=True):
            x, after[name] = block(x, memory[name])
        made: Tensor = self.last(x.transpose(1, 2)).transpose(1, 2)
        return made, after

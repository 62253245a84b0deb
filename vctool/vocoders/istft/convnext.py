"""One-dimensional ConvNeXt blocks (Liu et al., 2022), as in Vocos (Siuzdak, 2023)."""

import torch
from torch import Tensor, nn


def begin_small(network: nn.Module) -> None:
    """Set all weights of convolutions and linear layers to small random numbers, biases to 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv1d | nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


class ConvNextBlock(nn.Module):
    """Depthwise convolution over time, then an MLP for each frame, added to the input.

    (B, C, F) to (B, C, F), 3 frames of context on either side.

    Args:
        channels: C.
        hidden: hidden width of the MLP.
        scale: initial layer scale of the residual branch; small, so that deep stacks begin near
            the identity.
    """

    def __init__(self, channels: int, hidden: int, scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen = nn.Linear(channels, hidden)
        self.narrow = nn.Linear(hidden, channels)
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """Refine frames."""
        y = self.norm(self.depthwise(x).transpose(1, 2))
        y = self.narrow(nn.functional.gelu(self.widen(y)))
        return x + (self.scale * y).transpose(1, 2)


class ConvNext(nn.Module):
    """A stack of blocks between two norms: (B, inputs, F) to (B, width, F).

    Args:
        inputs: input channels.
        width: channels of the blocks.
        blocks: number of blocks.
        ratio: hidden width of their MLPs over `width`.
    """

    def __init__(self, inputs: int, width: int, blocks: int, ratio: int = 3) -> None:
        super().__init__()
        self.embed = nn.Conv1d(inputs, width, 7, padding=3)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.blocks = nn.ModuleList(
            ConvNextBlock(width, ratio * width, 1.0 / blocks) for _ in range(blocks)
        )
        self.last = nn.LayerNorm(width, eps=1e-6)
        begin_small(self)

    def forward(self, x: Tensor) -> Tensor:
        """Embed and refine frames."""
        x = self.norm(self.embed(x).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        made: Tensor = self.last(x.transpose(1, 2)).transpose(1, 2)
        return made

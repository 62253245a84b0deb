"""The encoder and the decoder: causal convolutions over frames.

The decoder's blocks are normalised in the style of the target, with a scale and an offset for every
channel, as in Meta-StyleSpeech (Min et al., 2021).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

KERNEL = 5
"""Frames that a convolution sees: the present one and those before."""

Memory = Mapping[str, Tensor]
"""What must be remembered between chunks, by name, each (B, ...)."""


class Causal(nn.Module):
    """A convolution over frames (B, C, F) that is told what came before them.

    Args:
        inputs: input channels.
        outputs: output channels.
        groups: as of `nn.Conv1d`.
        dilation: as of `nn.Conv1d`.
    """

    def __init__(self, inputs: int, outputs: int, groups: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, KERNEL, groups=groups, dilation=dilation)
        self.kept = dilation * (KERNEL - 1)
        self.shape = (inputs, self.kept)

    def forward(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, outputs, F) and the next `before`, of `shape`."""
        joined = torch.cat([before, x], dim=-1)
        return self.conv(joined), joined[..., -self.kept :]


class Block(nn.Module):
    """A ConvNeXt block (Liu et al., 2022) whose normalisation may follow a style.

    Args:
        width: channels.
        style: channels of the style; none where 0.
        scale: initial scale of the residual branch.
        dilation: frames between those that it sees.
    """

    def __init__(self, width: int, style: int, scale: float, dilation: int) -> None:
        super().__init__()
        self.depthwise = Causal(width, width, width, dilation)
        self.norm = nn.LayerNorm(width, elementwise_affine=not style)
        self.affine = nn.Linear(style, 2 * width) if style else None
        self.widen = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor, before: Tensor, style: Tensor | None) -> tuple[Tensor, Tensor]:
        """Refine frames (B, width, F) in the style (B, style)."""
        y, before = self.depthwise(x, before)
        y = self.norm(y.transpose(1, 2))
        if self.affine is not None:
            assert style is not None
            gain, offset = self.affine(style)[:, None].chunk(2, dim=-1)
            y = y * (1.0 + gain) + offset
        y = self.narrow(nn.functional.gelu(self.widen(y)))
        return x + (self.scale * y).transpose(1, 2), before


class Stack(nn.Module):
    """Blocks between a convolution and a projection: (B, inputs, F) to (B, outputs, F), 0 at first.

    Each block sees twice as far back as the one before, four blocks 0.8 s at hops of 11.6 ms: long
    enough to hear what a voice is like, besides what it says.

    Args:
        name: prefix of what it remembers.
        inputs: input channels.
        outputs: output channels.
        width: channels of the blocks.
        blocks: their number.
        style: channels of the style; none where 0.
    """

    def __init__(
        self, name: str, inputs: int, outputs: int, width: int, blocks: int, style: int = 0
    ) -> None:
        super().__init__()
        self.name = name
        self.embed = Causal(inputs, width)
        self.blocks = nn.ModuleList(Block(width, style, 1.0 / blocks, 2**n) for n in range(blocks))
        self.last = nn.LayerNorm(width)
        self.project = nn.Linear(width, outputs)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    @property
    def memory(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what it remembers, by name, without the batch; all zero at first."""
        shapes = [self.embed.shape]
        for block in self.blocks:
            assert isinstance(block, Block)
            shapes.append(block.depthwise.shape)
        return {f"{self.name}{n}": shape for n, shape in enumerate(shapes)}

    def forward(
        self, x: Tensor, memory: Memory, style: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return (B, outputs, F) and what to remember."""
        after: dict[str, Tensor] = {}
        x, after[f"{self.name}0"] = self.embed(x, memory[f"{self.name}0"])
        for n, block in enumerate(self.blocks, 1):
            x, after[f"{self.name}{n}"] = block(x, memory[f"{self.name}{n}"], style)
        made: Tensor = self.project(self.last(x.transpose(1, 2))).transpose(1, 2)
        return made, after


class Style(nn.Module):
    """The style of a target, of what is known of its voice: (B, inputs) to (B, style)."""

    def __init__(self, inputs: int, style: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, style), nn.GELU(), nn.Linear(style, style), nn.LayerNorm(style)
        )

    def forward(self, known: Tensor) -> Tensor:
        """Return the style."""
        made: Tensor = self.layers(known)
        return made


class SpeakerClassifier(nn.Module):
    """The opponent: whose voice a code (B, C, F) is of, frame by frame."""

    def __init__(self, code: int, width: int, voices: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(code, width, 5, padding=2),
            nn.LeakyReLU(0.1),
            nn.Conv1d(width, width, 5, padding=2),
            nn.LeakyReLU(0.1),
            nn.Conv1d(width, voices, 1),
        )

    def forward(self, code: Tensor) -> Tensor:
        """Return log probabilities of voices (B, voices, F)."""
        return torch.log_softmax(self.layers(code).float(), dim=1)

"""The generators of CycleGAN-VC and CycleGAN-VC2, for any length.

Kaneko and Kameoka, 2018 (arXiv 1711.11293) and Kaneko et al., 2019 (arXiv 1904.04631). Both halve
the frame rate twice, so lengths are extended to a multiple of 4 and cut back.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vctool.models.cyclegan_vc import alignment
from vctool.models.cyclegan_vc.layers import Gated1d, Gated2d, InstanceNorm, Residual1d

DOWN = 4
"""Frames of input per frame of the innermost layers."""


class Generator(nn.Module):
    """Normalised features of one speaker to those of the other: (B, D, F) -> (B, D, F).

    Args:
        features: D.
        width: channels after the first layer: 64 as published.
        blocks: residual blocks.
        residual: whether the output is added to a linear map of the input, the identity until
            `linear` is set; the last layer then begins at zero.
        masked: whether a mask is a channel of the input.
        told: channels besides, which are read and not converted.
    """

    last: nn.Conv1d | nn.Conv2d
    linear: Tensor

    def __init__(
        self,
        features: int,
        width: int = 64,
        blocks: int = 6,
        residual: bool = False,
        masked: bool = False,
        told: int = 0,
    ) -> None:
        super().__init__()
        self.features = features
        self.residual = residual
        self.masked = masked
        self.told = told
        self.build(width, blocks)
        if residual:
            self.register_buffer("linear", alignment.identity(features))
            nn.init.zeros_(self.last.weight)
            assert self.last.bias is not None
            nn.init.zeros_(self.last.bias)

    def build(self, width: int, blocks: int) -> None:
        """Make the layers, `last` among them."""
        raise NotImplementedError

    def body(self, x: Tensor, mask: Tensor | None, told: Tensor | None) -> Tensor:
        """Convert a length that divides by `DOWN`."""
        raise NotImplementedError

    def forward(self, x: Tensor, mask: Tensor | None = None, told: Tensor | None = None) -> Tensor:
        """Convert segments of any length.

        Args:
            x: (B, D, F).
            mask: (B, 1, F), 0 where frames are hidden and 1 elsewhere; all ones where None.
            told: (B, told, F); None where there are no such channels.
        """
        frames = x.shape[-1]
        if self.masked:
            mask = torch.ones_like(x[:, :1]) if mask is None else mask
            x = x * mask
        spare = -frames % DOWN
        if spare:
            x = F.pad(x, (0, spare), mode="replicate")
            mask = F.pad(mask, (0, spare), value=1.0) if mask is not None else None
            told = F.pad(told, (0, spare), mode="replicate") if told is not None else None
        made = self.body(x, mask, told)
        if self.residual:
            made = made + alignment.apply(x.float(), self.linear)
        return made[..., :frames]


class Generator1d(Generator):
    """One-dimensional gated convolutions over frames, features as channels (CycleGAN-VC).

    Channels after the first layer grow to 2 and 8 times as many.
    """

    def build(self, width: int, blocks: int) -> None:
        """Make the layers."""
        inner = 8 * width
        self.first = Gated1d(self.features + self.masked + self.told, width, 15, norm=False)
        self.down = nn.Sequential(
            Gated1d(width, 2 * width, 5, stride=2), Gated1d(2 * width, inner, 5, stride=2)
        )
        self.blocks = nn.Sequential(*(Residual1d(inner, inner) for _ in range(blocks)))
        self.up = nn.Sequential(
            Gated1d(inner, 4 * width, 5, up=2), Gated1d(4 * width, 2 * width, 5, up=2)
        )
        self.last = nn.Conv1d(2 * width, self.features, 15, padding=7)

    def body(self, x: Tensor, mask: Tensor | None, told: Tensor | None) -> Tensor:
        """Convert a length that divides by `DOWN`."""
        x = torch.cat([one for one in (x, mask, told) if one is not None], dim=1)
        made: Tensor = self.last(self.up(self.blocks(self.down(self.first(x)))))
        return made


class Generator212d(Generator):
    """Two-dimensional at both ends, one-dimensional inside (CycleGAN-VC2, MaskCycleGAN-VC).

    Channels after the first layer grow to 2 and 4 times as many; D is extended to a multiple of 4
    inside.
    """

    def build(self, width: int, blocks: int) -> None:
        """Make the layers."""
        inner = 4 * width
        self.rows = -(-self.features // DOWN)  # of the innermost layers
        self.first = Gated2d(1 + self.masked, width, (5, 15), norm=False)
        self.down = nn.Sequential(
            Gated2d(width, 2 * width, (5, 5), stride=(2, 2)),
            Gated2d(2 * width, inner, (5, 5), stride=(2, 2)),
        )
        self.flatten = nn.Sequential(nn.Conv1d(inner * self.rows, inner, 1), InstanceNorm(inner))
        self.blocks = nn.Sequential(*(Residual1d(inner, 2 * inner) for _ in range(blocks)))
        self.spread = nn.Sequential(
            nn.Conv1d(inner, inner * self.rows, 1), InstanceNorm(inner * self.rows)
        )
        self.up = nn.Sequential(
            Gated2d(inner, 2 * width, (5, 5), up=2), Gated2d(2 * width, width, (5, 5), up=2)
        )
        self.last = nn.Conv2d(width, 1, (5, 15), padding=(2, 7))

    def body(self, x: Tensor, mask: Tensor | None, told: Tensor | None) -> Tensor:
        """Convert a length that divides by `DOWN`."""
        assert told is None, "two-dimensional layers have no place for other channels"
        x = F.pad(x, (0, 0, 0, DOWN * self.rows - self.features))[:, None]
        if mask is not None:
            x = torch.cat([x, mask[:, None].expand(-1, -1, x.shape[2], -1)], dim=1)
        x = self.down(self.first(x))
        shape = x.shape
        x = self.spread(self.blocks(self.flatten(x.flatten(1, 2)))).view(shape)
        made: Tensor = self.last(self.up(x))
        return made[:, 0, : self.features]

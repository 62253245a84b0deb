"""The condition of the flow: what the frozen coder tells, over time."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Conditioner(nn.Module):
    """A small network over what is told, its channels scaled and moved by the style.

    Args:
        bands: of the decoder's powers.
        codes: channels of the notes.
        style: length of a style.
        width: channels that it gives.
    """

    def __init__(self, bands: int, codes: int, style: int, width: int) -> None:
        super().__init__()
        self.begin = nn.Conv1d(bands + codes, width, 3, padding=1)
        self.by_style = nn.Linear(style, 2 * width)
        self.end = nn.Conv1d(width, width, 5, padding=2)

    def forward(self, bands: Tensor, codes: Tensor, style: Tensor) -> Tensor:
        """Return (B, width, F).

        Args:
            bands: (B, M, F) what the coder's decoder makes [bel].
            codes: (B, C, F).
            style: (B, S).
        """
        factor, offset = self.by_style(style)[:, :, None].chunk(2, dim=1)
        x = self.begin(torch.cat([bands / 4.0, codes], dim=1)) * (1.0 + factor) + offset
        made: Tensor = functional.leaky_relu(self.end(functional.leaky_relu(x, 0.1)), 0.1)
        return made

"""The discriminators of CycleGAN-VC and CycleGAN-VC2.

Both have linear outputs, for least-squares losses (Mao et al., 2017).
"""

from torch import Tensor, nn

from vctool.models.cyclegan_vc.layers import Gated2d


class FullDiscriminator(nn.Module):
    """One score per segment (CycleGAN-VC): (B, D, F) -> (B, 1).

    Args:
        features: D.
        frames: F, the segment length.
        width: channels after the first layer; they double three times.
    """

    def __init__(self, features: int, frames: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Gated2d(1, width, (3, 3), stride=(1, 2), norm=False),
            Gated2d(width, 2 * width, (3, 3), stride=(2, 2)),
            Gated2d(2 * width, 4 * width, (3, 3), stride=(2, 2)),
            Gated2d(4 * width, 8 * width, (5, 3), stride=(1, 2)),
        )
        rows, columns = -(-features // 4), -(-frames // 16)
        self.score = nn.Linear(8 * width * rows * columns, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Score segments: near 1 for real ones, near 0 for fakes."""
        made: Tensor = self.score(self.layers(x[:, None]).flatten(1))
        return made


class PatchDiscriminator(nn.Module):
    """One score per patch (CycleGAN-VC2): (B, D, F) -> (B, D / 4 * F / 16).

    Args:
        width: channels after the first layer; they double three times.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Gated2d(1, width, (3, 3), norm=False),
            Gated2d(width, 2 * width, (3, 3), stride=(2, 2)),
            Gated2d(2 * width, 4 * width, (3, 3), stride=(2, 2)),
            Gated2d(4 * width, 8 * width, (3, 3), stride=(1, 2)),
            Gated2d(8 * width, 8 * width, (1, 5)),
        )
        self.score = nn.Conv2d(8 * width, 1, (1, 3), padding=(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Score patches: near 1 for real ones, near 0 for fakes."""
        made: Tensor = self.score(self.layers(x[:, None])).flatten(1)
        return made

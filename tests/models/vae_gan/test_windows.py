"""Windows: every frame covered, in place, and joined without a seam."""

import numpy as np
import pytest
import torch

from vctool.models.vae_gan import windows

LENGTHS = [64, 65, 96, 97, 127, 128, 500, 1001]


def cut(sequence: torch.Tensor, begin: np.ndarray, clip: int) -> torch.Tensor:
    return torch.stack([sequence[:, start : start + clip] for start in begin])


@pytest.mark.parametrize("frames", LENGTHS)
def test_windows_that_agree_give_the_sequence_back(frames: int) -> None:
    """The last window ends at the end: the tail stays where it is (published bug H5)."""
    begin = windows.starts(frames, 64)
    assert begin[0] == 0 and begin[-1] == frames - 64
    assert all(np.diff(begin) <= 32)
    sequence = torch.randn(3, frames, generator=torch.Generator().manual_seed(frames))
    joined = windows.join(cut(sequence, begin, 64), begin, frames)
    torch.testing.assert_close(joined, sequence)


def test_windows_that_differ_fade_into_each_other_without_a_step() -> None:
    begin = windows.starts(160, 64)
    levels = torch.arange(len(begin), dtype=torch.float32)[:, None, None].expand(-1, 1, 64)
    joined = windows.join(levels, begin, 160)[0]
    assert joined[0] == 0 and joined[-1] == len(begin) - 1
    steps = joined.diff()
    assert (steps >= -1e-6).all()
    # evenly over the half window that two share; a rectangular average would step by a half
    assert steps.max() < 2.1 / 32

import math

import pytest
import torch

from vctool.nn.stft_loss import FLOOR, MultiResolutionStft


def test_a_wave_is_at_no_distance_from_itself_and_hears_no_phase() -> None:
    loss = MultiResolutionStft((128, 256))
    wave = 0.1 * torch.randn(2, 4000)
    assert float(loss(wave, wave)) < 1e-5
    assert float(loss(-wave, wave)) < 1e-5


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_a_gain_has_the_distance_that_its_formula_says(gain: float) -> None:
    loss = MultiResolutionStft((128, 256))
    wave = torch.randn(1, 8000)
    wanted = abs(gain - 1) + abs(math.log(gain))
    assert float(loss(gain * wave, wave)) == pytest.approx(wanted, rel=1e-3)


def test_what_is_below_the_floor_is_alike() -> None:
    loss = MultiResolutionStft((256,))
    faint = 0.01 * FLOOR * torch.randn(2, 1, 4000)
    assert float(loss(faint[0], faint[1])) < 1e-3


def test_a_batch_is_the_mean_of_its_singles_and_silence_does_not_outweigh_it() -> None:
    loss = MultiResolutionStft((256,))
    true = torch.stack([0.1 * torch.randn(4000), torch.zeros(4000)])
    made = true + 1e-3 * torch.randn(2, 4000)
    singles = [float(loss(made[i : i + 1], true[i : i + 1])) for i in (0, 1)]
    assert float(loss(made, true)) == pytest.approx(sum(singles) / 2, rel=1e-4)
    assert singles[1] < 5


def test_gradients_are_finite_even_from_silence() -> None:
    loss = MultiResolutionStft((128,))
    made = torch.zeros(1, 2000, requires_grad=True)
    loss(made, torch.randn(1, 2000)).backward()
    assert made.grad is not None
    assert torch.isfinite(made.grad).all()

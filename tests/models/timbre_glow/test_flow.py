"""The flow: exact both ways, and the density that it says."""

import copy
import math
from functools import cache

import pytest
import torch
from torch import Tensor

from vctool.models.timbre_glow.flow import (
    MOST_SCALE,
    ActNorm,
    Flow,
    Mix,
    bounded,
    extended,
    squeeze,
    unsqueeze,
)

CHANNELS, CONDITION = 12, 5


def draw(batch: int, frames: int) -> tuple[Tensor, Tensor]:
    """Draw correlated values and their condition, of a batch and a length."""
    mixing = torch.randn(CHANNELS, CHANNELS, generator=torch.Generator().manual_seed(0))
    condition = torch.randn(batch, CONDITION, frames)
    noise = torch.randn(batch, CHANNELS, frames)
    return mixing @ noise + 3.0 + condition.mean(dim=1, keepdim=True), condition


@cache
def trained() -> Flow:
    """Train one for a while, with long steps."""
    torch.manual_seed(1)
    made = Flow(CHANNELS, CONDITION, depth=2, width=16)
    made.begin(*draw(16, 16))
    adam = torch.optim.Adam(made.parameters(), 1e-2)
    for _ in range(40):
        adam.zero_grad()
        (-made.log_density(*draw(8, 16)).mean()).backward()
        adam.step()
    return made


@pytest.fixture
def flow() -> Flow:
    made = copy.deepcopy(trained())
    torch.manual_seed(2)
    return made


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("frames", [1, 4, 7, 13, 64])
def test_the_inverse_undoes_it_after_training(flow: Flow, batch: int, frames: int) -> None:
    """Proof G1: the published flow runs in neither direction."""
    values, condition = draw(batch, frames)
    with torch.no_grad():
        latent, _ = flow(values, condition)
        back = flow.inverse(latent, condition)
        again, _ = flow(back, condition)
    assert latent.shape == (batch, CHANNELS, -(-frames // 4) * 4)
    assert float((back - values).abs().max()) < 1e-4
    if frames % 4 == 0:
        assert float((again - latent).abs().max()) < 1e-4
    noise = torch.randn(latent.shape)
    with torch.no_grad():
        drawn = flow.inverse(noise, condition)
        assert drawn.shape == values.shape
        if frames % 4 == 0:
            assert float((flow(drawn, condition)[0] - noise).abs().max()) < 1e-4


@pytest.mark.parametrize("batch", [1, 2])
def test_the_log_determinant_is_that_of_the_jacobian(flow: Flow, batch: int) -> None:
    values, condition = (one.double() for one in draw(batch, 8))
    exact = flow.double()
    _, told = exact(values, condition)
    for example in range(batch):

        def mapped(x: Tensor, of: int = example) -> Tensor:
            latent: Tensor = exact(x.view(1, CHANNELS, 8), condition[of : of + 1])[0]
            return latent.flatten()

        jacobian = torch.autograd.functional.jacobian(mapped, values[example].flatten())
        found = torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(told[example], found, rtol=1e-6, atol=1e-6)
    density = exact.log_density(values, condition)
    latent = exact(values, condition)[0]
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(latent).sum(dim=(1, 2))
    torch.testing.assert_close(density, (normal + told) / (CHANNELS * 8))


def test_every_parameter_learns(flow: Flow) -> None:
    flow.zero_grad()
    (-flow.log_density(*draw(4, 16)).mean()).backward()
    flat = [n for n, p in flow.named_parameters() if p.grad is None or not p.grad.abs().max()]
    assert flat == []


def test_the_density_is_that_of_what_is_drawn() -> None:
    """Of independent normal values, whose density is known, it is known too."""
    torch.manual_seed(2)
    made = Flow(CHANNELS, CONDITION, depth=1, width=8)
    values, condition = 0.5 * torch.randn(64, CHANNELS, 32), torch.zeros(64, CONDITION, 32)
    made.begin(values, condition)
    found = float(made.log_density(values, condition).detach().mean())
    assert found == pytest.approx(-0.5 * math.log(2 * math.pi * math.e * 0.25), abs=0.02)


def test_it_begins_standardised() -> None:
    values, condition = draw(32, 16)
    made = Flow(CHANNELS, CONDITION, depth=2, width=8)
    made.begin(values, condition)
    norm = ActNorm(CHANNELS)
    norm.begin(values)
    for latent in (norm(values)[0], made(values, condition)[0]):
        assert float(latent.detach().mean().abs()) < 0.05
        assert float(latent.detach().std()) == pytest.approx(1.0, abs=0.1)


def test_mixing_begins_as_a_rotation() -> None:
    mix = Mix(9)
    values = torch.randn(2, 9, 5)
    mapped, log_determinant = mix(values)
    torch.testing.assert_close(mapped.norm(dim=1), values.norm(dim=1))
    assert float(log_determinant.detach().abs()) < 1e-4
    other = Mix(9)
    other.load_state_dict(mix.state_dict())  # the permutation too
    torch.testing.assert_close(other.inverse(mapped), values, rtol=1e-4, atol=1e-4)


def test_frames_are_squeezed_into_channels_and_back() -> None:
    values = torch.arange(12.0).view(1, 2, 6)
    assert squeeze(values)[0, :, 0].tolist() == [0, 1, 6, 7]
    assert torch.equal(unsqueeze(squeeze(values)), values)
    assert extended(values).shape == (1, 2, 8) and extended(values)[0, 0, 6:].tolist() == [5, 5]


def test_scales_are_bounded_and_near_zero_as_they_are() -> None:
    raw = torch.tensor([-1e6, -0.01, 0.0, 0.01, 1e6])
    expected = [-MOST_SCALE, -0.01, 0.0, 0.01, MOST_SCALE]
    torch.testing.assert_close(bounded(raw), torch.tensor(expected), rtol=1e-4, atol=0)

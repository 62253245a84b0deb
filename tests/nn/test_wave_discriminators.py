import pytest
import torch

from vctool.nn.wave_discriminators import (
    PeriodDiscriminator,
    ScaleDiscriminator,
    SpectrumDiscriminator,
    WaveDiscriminators,
)


def small() -> WaveDiscriminators:
    torch.manual_seed(0)
    return WaveDiscriminators((2, 3), 1, 2, 4, (128,), 4)


def test_published_sizes_have_the_published_number_of_parameters() -> None:
    """HiFi-GAN's five periods and three scales: weights and biases, without weight norm's gains."""

    def count(module: torch.nn.Module) -> int:
        gains = sum(p.numel() for n, p in module.named_parameters() if n.endswith("original0"))
        return sum(p.numel() for p in module.parameters()) - gains

    # conv sizes of the published code: 1-32-128-512-1024-1024-1 with kernels 5 x 1 and 3 x 1
    period = [
        (1, 32, 5),
        (32, 128, 5),
        (128, 512, 5),
        (512, 1024, 5),
        (1024, 1024, 5),
        (1024, 1, 3),
    ]
    assert count(PeriodDiscriminator(2, 32)) == sum(a * b * k + b for a, b, k in period)
    scale = [
        (1, 128, 15, 1),
        (128, 128, 41, 4),
        (128, 256, 41, 16),
        (256, 512, 41, 16),
        (512, 1024, 41, 16),
        (1024, 1024, 41, 16),
        (1024, 1024, 5, 1),
        (1024, 1, 3, 1),
    ]
    assert count(ScaleDiscriminator(0, 128)) == sum(a // g * b * k + b for a, b, k, g in scale)


def test_a_period_sees_shifts_by_less_than_itself_and_not_the_neighbouring_columns() -> None:
    """Columns are apart: what changes every third sample changes one column of scores."""
    torch.manual_seed(0)
    judge = PeriodDiscriminator(3, 2)
    wave = torch.randn(1, 900)
    changed = wave.clone()
    changed[:, 1::3] += 1.0
    moved = (judge(changed).score - judge(wave).score).abs().amax(dim=(0, 1, 2))
    assert moved[1] > 1e-4
    assert moved[0] == moved[2] == 0


def test_a_spectrum_does_not_hear_a_sign() -> None:
    torch.manual_seed(0)
    judge = SpectrumDiscriminator(128, 4)
    wave = torch.randn(2, 2000)
    torch.testing.assert_close(judge(wave).score, judge(-wave).score)


def test_losses_are_those_of_least_squares() -> None:
    judges = small()
    for judge in judges.judges:
        last = judge.layers[-1]
        with torch.no_grad():
            last.parametrizations.weight.original0.zero_()
            last.bias.fill_(0.25)
    true, made = torch.randn(2, 1000), torch.randn(2, 1000)
    assert float(judges.own_loss(true, made).detach()) == pytest.approx(0.75**2 + 0.25**2)
    adversarial, _ = judges.generator_losses(true, made)
    assert float(adversarial.detach()) == pytest.approx(0.75**2)


def test_matching_is_nothing_for_equals_and_gradients_reach_only_what_was_made() -> None:
    judges = small()
    true = torch.randn(2, 1000, requires_grad=True)
    _, matching = judges.generator_losses(true, true.detach())
    assert float(matching.detach()) == 0
    made = torch.randn(2, 1000, requires_grad=True)
    adversarial, matching = judges.generator_losses(true, made)
    assert float(matching.detach()) > 0
    (adversarial + matching).backward()
    assert made.grad is not None
    assert float(made.grad.abs().max()) > 0
    assert true.grad is None


def test_they_learn_to_tell_noise_from_a_tone() -> None:
    judges = small()
    adam = torch.optim.Adam(judges.parameters(), lr=2e-3)
    time = torch.arange(1000)
    losses = []
    for _ in range(20):
        tone = torch.sin(0.2 * time + 6 * torch.rand(4, 1))
        loss = judges.own_loss(tone, torch.randn(4, 1000))
        losses.append(float(loss.detach()))
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert losses[-1] < 0.6 * losses[0]

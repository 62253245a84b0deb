"""Training CycleGAN-VC at its published size, beside the published formulation of the same step.

The published step: one segment of each speaker in float32; values and gates made by two
convolutions, each with torch's own instance normalisation; one pass each for the fake, the cycle
and the identity; for the discriminators the fakes made once more, with gradients that reach the
generators and are thrown away, and one pass each for real and fake. Ours: batches, bf16 where the
CPU has it, fakes made once and together with the identity, gradients for one group at a time.

`VCTOOL_BENCH_SECONDS` is how long each trains for the held-out loss, and `VCTOOL_BENCH_RACE_BATCH`
the size of our batches in it. The first seconds mean little: untrained discriminators come first.
"""

import copy
import math
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vctool.engine.step import uses_bf16
from vctool.models.base import System
from vctool.models.cyclegan_vc.layers import Gated1d, Gated2d, InstanceNorm

BATCH = int(os.environ.get("VCTOOL_BENCH_BATCH", "8"))
RACE_BATCH = int(os.environ.get("VCTOOL_BENCH_RACE_BATCH", str(BATCH)))
ROUNDS = int(os.environ.get("VCTOOL_BENCH_ROUNDS", "3"))
THREADS = int(os.environ.get("VCTOOL_BENCH_THREADS", "2"))
SECONDS = float(os.environ.get("VCTOOL_BENCH_SECONDS", "60"))
TURN = 3.0
"""Seconds that one trains before it is the other's turn."""
HELD_OUT = 32
"""Segments of each speaker that the held-out loss is taken over."""
TARGET = 4
CYCLE, IDENTITY = 10.0, 5.0
SIDES = ("source", "target")


class TwoConvolutions(nn.Module):
    """A gated convolution as published, with the weights of one of ours."""

    def __init__(self, ours: Gated1d | Gated2d) -> None:
        super().__init__()
        self.shuffle = ours.shuffle
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        for half in (0, 1):  # the values, then the gates
            conv = copy.deepcopy(ours.conv)
            conv.weight = nn.Parameter(conv.weight.detach().chunk(2)[half].clone())
            assert conv.bias is not None
            conv.bias = nn.Parameter(conv.bias.detach().chunk(2)[half].clone())
            conv.out_channels //= 2
            self.convs.append(conv)
            norm: nn.Module = nn.Identity()
            if isinstance(ours.norm, InstanceNorm):
                norm = own_norm(ours.norm, half, isinstance(ours, Gated2d))
            self.norms.append(norm)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = (
            norm(self.shuffle(conv(x))) for conv, norm in zip(self.convs, self.norms, strict=True)
        )
        made: Tensor = value * torch.sigmoid(gate)
        return made


def own_norm(ours: InstanceNorm, half: int | None, planar: bool) -> nn.Module:
    """Return torch's own layer with the weights, or a half of the weights, of ours."""
    kind = nn.InstanceNorm2d if planar else nn.InstanceNorm1d
    weight, bias = ours.weight.detach(), ours.bias.detach()
    if half is not None:
        weight, bias = weight.chunk(2)[half], bias.chunk(2)[half]
    norm = kind(len(weight), affine=True)
    norm.weight, norm.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return norm


def as_published(network: nn.Module) -> nn.Module:
    """Return the same network, weights and all, in the published formulation."""
    if isinstance(network, Gated1d | Gated2d):
        return TwoConvolutions(network)
    if isinstance(network, InstanceNorm):
        return own_norm(network, None, planar=False)
    made = copy.copy(network)
    made._modules = {
        name: None if child is None else as_published(child)
        for name, child in network._modules.items()
    }
    made._parameters = {
        name: None if one is None else nn.Parameter(one.detach().clone())
        for name, one in network._parameters.items()
    }
    return made


class Published:
    """The published training of the networks of a system, which it leaves alone."""

    def __init__(self, system: System, learning_rates: dict[str, float]) -> None:
        self.to_source, self.to_target = (as_published(system.generators[s]) for s in SIDES)
        self.judge_source, self.judge_target = (
            as_published(system.discriminators[side]) for side in SIDES
        )
        self.generator_optimizer = torch.optim.Adam(
            [*self.to_source.parameters(), *self.to_target.parameters()],
            learning_rates["generator"],
            (0.5, 0.999),
        )
        self.discriminator_optimizer = torch.optim.Adam(
            [*self.judge_source.parameters(), *self.judge_target.parameters()],
            learning_rates["discriminator"],
            (0.5, 0.999),
        )

    def clear(self) -> None:
        self.generator_optimizer.zero_grad()
        self.discriminator_optimizer.zero_grad()

    def step(self, source: Tensor, target: Tensor, reuse: bool = False) -> None:
        """Take one step on normalised segments (1, D, F).

        Args:
            source: of the source speaker.
            target: of the target speaker.
            reuse: judge the generators' own fakes, detached, as other code of the kind does.
        """
        self.clear()
        fake_target, fake_source = self.to_target(source), self.to_source(target)
        cycle = F.l1_loss(self.to_source(fake_target), source)
        cycle = cycle + F.l1_loss(self.to_target(fake_source), target)
        identity = F.l1_loss(self.to_source(source), source)
        identity = identity + F.l1_loss(self.to_target(target), target)
        adversarial = (1 - self.judge_target(fake_target)).square().mean()
        adversarial = adversarial + (1 - self.judge_source(fake_source)).square().mean()
        (adversarial + CYCLE * cycle + IDENTITY * identity).backward()
        self.generator_optimizer.step()
        self.clear()
        if reuse:
            fake_target, fake_source = fake_target.detach(), fake_source.detach()
        else:
            fake_target, fake_source = self.to_target(source), self.to_source(target)
        loss = torch.zeros(())
        for judge, real, fake in (
            (self.judge_source, source, fake_source),
            (self.judge_target, target, fake_target),
        ):
            loss = loss + 0.25 * (1 - judge(real)).square().mean()
            loss = loss + 0.25 * judge(fake).square().mean()
        loss.backward()
        self.discriminator_optimizer.step()


def segments(system: System, clips: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Normalise the segments of both speakers as the system does: (B, D, F) each."""
    made = []
    for role, side in zip(system.context.roles, SIDES, strict=True):
        mean, std = getattr(system, f"{side}_mean"), getattr(system, f"{side}_std")
        made.append((clips[role].voice - mean) / std)
    return made[0], made[1]


@torch.no_grad()
def held_out(to_source: nn.Module, to_target: nn.Module, source: Tensor, target: Tensor) -> float:
    """Sum the L1 losses of cycle and identity, unweighted, over both speakers."""
    cycle = F.l1_loss(to_source(to_target(source)), source)
    cycle = cycle + F.l1_loss(to_target(to_source(target)), target)
    identity = F.l1_loss(to_source(source), source) + F.l1_loss(to_target(target), target)
    return float(cycle + identity)


def take_turns(works: dict[str, Callable[[], object]], seconds: float) -> dict[str, int]:
    """Repeat works for as many seconds each, in short turns; return how often each was done."""
    spent, done = dict.fromkeys(works, 0.0), dict.fromkeys(works, 0)
    while min(spent.values()) < seconds:
        for name, work in works.items():
            began, before = time.perf_counter(), spent[name]
            while spent[name] < min(before + TURN, seconds):
                work()
                done[name] += 1
                spent[name] = before + time.perf_counter() - began
    return done


@pytest.fixture
def datasets(pair: Any) -> Callable[..., Any]:
    """`datasets(system, size, pair.train)` draws batches of segments of both speakers."""

    def make(system: System, size: int, sets: Any, seed: int = 0) -> Any:
        return type(system).dataset(system.config, system.context, sets, size, seed)

    return make


def test_samples_per_second(
    voice_systems: Callable[..., Any],
    datasets: Callable[..., Any],
    pair: Any,
    training: Callable[..., Any],
    measured: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Target: four times the segments per second, on the same CPU."""
    torch.set_num_threads(THREADS)
    system, recipe = voice_systems("cyclegan_vc")
    rates = recipe.train.learning_rates
    ones = segments(system, datasets(system, 1, pair.train).batch(0))
    theirs, reusing = Published(system, rates), Published(system, rates)
    for side, generator in zip(SIDES, (theirs.to_source, theirs.to_target), strict=True):
        torch.testing.assert_close(
            generator(ones[0]), system.generators[side](ones[0]), rtol=1e-3, atol=1e-4
        )
    for side, judge in zip(SIDES, (theirs.judge_source, theirs.judge_target), strict=True):
        torch.testing.assert_close(
            judge(ones[0]), system.discriminators[side](ones[0]), rtol=1e-3, atol=1e-4
        )
    settings = recipe.train.model_copy(update={"batch_size": BATCH})
    ours = training(system, settings, datasets(system, BATCH, pair.train))
    works: dict[str, Callable[[], object]] = {
        "published": lambda: theirs.step(*ones),
        "published, fakes reused": lambda: reusing.step(*ones, reuse=True),
        "ours": ours.step,
    }
    least = measured(works, ROUNDS).least
    arithmetic = "bf16" if uses_bf16(settings, system.device) else "fp32"
    with capsys.disabled():
        print(f"\ntraining CycleGAN-VC, published size, {THREADS} threads; ", end="")
        print(f"ours: batches of {BATCH} in {arithmetic}, published: 1 in fp32")
        for kind in ("wall", "cpu"):
            took = {name: getattr(cost, kind) for name, cost in least.items()}
            own = took.pop("ours") / BATCH
            told = [f"{1 / s:.2f} {name} ({s / own:.1f} times less)" for name, s in took.items()]
            print(f"  {kind}: segments per second: {1 / own:.2f} ours, {', '.join(told)}", end="")
            print(f" (target {TARGET} times)")
    assert not bool(ours.last.bad)


def test_held_out_loss_after_equal_time(
    voice_systems: Callable[..., Any],
    datasets: Callable[..., Any],
    pair: Any,
    training: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Target: a lower cycle and identity loss on held-out sentences, from the same weights."""
    torch.set_num_threads(THREADS)
    system, recipe = voice_systems("cyclegan_vc")
    published = Published(system, recipe.train.learning_rates)
    singles, drawn = datasets(system, 1, pair.train), iter(range(1 << 30))
    settings = recipe.train.model_copy(update={"batch_size": RACE_BATCH})
    ours = training(system, settings, datasets(system, RACE_BATCH, pair.train))
    held = segments(system, datasets(system, HELD_OUT, pair.held, seed=1).batch(0))

    def losses() -> dict[str, float]:
        own = system.generators
        return {
            "published": held_out(published.to_source, published.to_target, *held),
            "ours": held_out(own["source"], own["target"], *held),
        }

    before = losses()
    done = take_turns(
        {
            "published": lambda: published.step(*segments(system, singles.batch(next(drawn)))),
            "ours": ours.step,
        },
        SECONDS,
    )
    after = losses()
    with capsys.disabled():
        print(f"\nCycleGAN-VC, published size, {SECONDS:g} s of training each, {THREADS} threads:")
        for name, size in (("published", 1), ("ours", RACE_BATCH)):
            print(
                f"  {name}: {done[name]} steps of {size}, held-out cycle and identity loss ", end=""
            )
            print(f"{before[name]:.3f} before, {after[name]:.3f} after")
    assert before["ours"] == pytest.approx(before["published"], rel=1e-3)
    assert all(math.isfinite(loss) for loss in after.values())
    assert not bool(ours.last.bad)

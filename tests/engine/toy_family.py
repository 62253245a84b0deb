"""A small gated GAN with a buffer that steers it: the smallest family that can go wrong.

`train` is what the tests run in processes of their own, to kill them or to let two share a batch.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vctool import config as settings
from vctool.engine.distributed import processes
from vctool.engine.loop import Trainer
from vctool.engine.settings import TrainConfig
from vctool.features.settings import FeatureConfig
from vctool.models import base
from vctool.processes import mean_over_processes


class Batch(NamedTuple):
    speech: Tensor
    singing: Tensor


class Data:
    """Clips (B, 8, 12) that are functions of (seed, step, index)."""

    def __init__(self, size: int = 4, seed: int = 0, pause: float = 0.0) -> None:
        self.size, self.seed, self.pause = size, seed, pause
        self.bad_steps: set[int] = set()

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        time.sleep(self.pause)
        clips = []
        for index in range(self.size):
            rng = np.random.default_rng([self.seed, step, index])
            clips.append(rng.standard_normal((2, 8, 12), dtype=np.float32))
        whole = torch.from_numpy(np.stack(clips))
        if step in self.bad_steps:
            whole[0] = float("nan")
        share = self.size // world_size
        mine = whole[rank * share : (rank + 1) * share]
        return Batch(mine[:, 0].clone(), mine[:, 1].clone() + 1)

    def names(self, step: int) -> list[str]:
        return [f"utt-{step}-{index}" for index in range(self.size)]


class Config(settings.Config):
    width: int = 8
    noise: float = 0.0


class System(base.System):
    Config: ClassVar[type[settings.Config]] = Config
    discriminator_groups = ("discriminator",)
    adversarial_terms = ("adversarial",)

    def __init__(self, config: Any, context: base.Context) -> None:
        super().__init__(config, context)
        self.generator = nn.Sequential(
            nn.Conv1d(8, config.width, 3, padding=1), nn.Tanh(), nn.Conv1d(config.width, 8, 1)
        )
        self.critic = nn.Sequential(nn.Conv1d(8, config.width, 3), nn.Tanh(), nn.Linear(10, 1))
        self.unused = nn.Parameter(torch.ones(3))
        self.register_buffer("gate", torch.tensor(1.0))
        self.register_buffer("mean", torch.zeros(8, 1))
        self.gate: Tensor
        self.mean: Tensor
        self.setups = 0

    @classmethod
    def reads(cls, config: Any) -> tuple[str, ...]:
        return ("mel",)

    @classmethod
    def writes(cls, config: Any) -> tuple[str, ...]:
        return cls.reads(config)

    def groups(self) -> dict[str, Any]:
        return {
            "generator": [*self.generator.parameters(), self.unused],
            "discriminator": self.critic.parameters(),
        }

    def setup(self, batch: Batch) -> None:
        self.setups += 1
        self.mean.copy_(batch.speech.mean((0, 2))[:, None])

    def objectives(self, batch: Batch, step: int) -> Iterator[tuple[str, base.Terms]]:
        speech = batch.speech - self.mean
        if self.config.noise:
            speech = speech + self.config.noise * torch.randn_like(speech)
        fake = self.generator(speech)
        yield (
            "generator",
            {
                "adversarial": (self.critic(fake) - 1).square().mean(),
                "identity": (self.generator(batch.singing) - batch.singing).abs().mean(),
            },
        )
        if self.gate > 0.9:
            loss = self.critic(batch.singing) - 1, self.critic(fake.detach())
            loss = loss[0].square().mean() + loss[1].square().mean()
            yield "discriminator", {"adversarial": loss}
            self.gate.mul_(0.9).add_(0.1 * mean_over_processes(loss))
        else:
            self.gate.add_(0.2)

    def convert(
        self, source: base.Features, condition: base.Condition, to: str | None
    ) -> base.Features:
        with torch.no_grad():
            mel = torch.from_numpy(source["mel"]).T[None] - self.mean
            return {"mel": self.generator(mel)[0].T.numpy()}


CONTEXT = base.Context(
    features=FeatureConfig(n_mels=8), vocoder="griffin_lim", roles=("speech", "singing")
)
WEIGHTS: dict[str, Any] = {
    "generator": {"adversarial": 1.0, "identity": {"from": 2.0, "to": 0.5, "until_step": 6}},
    "discriminator": {"adversarial": 1.0},
}


def family(name: str) -> type[base.System]:
    assert name == "toy", name
    return System


def train_config(**changes: Any) -> TrainConfig:
    plain: dict[str, Any] = {
        "steps": 10,
        "batch_size": 4,
        "learning_rate": 1e-2,
        "weights": WEIGHTS,
        "log_every": 2,
        "validate_every": 4,
        "validate_batches": 2,
        "save_every": 4,
    }
    return TrainConfig.model_validate(plain | changes)


def build(**changes: Any) -> System:
    torch.manual_seed(0)
    return System(Config(**changes), CONTEXT)


def trainer(out: Path, *, model: dict[str, Any] | None = None, **changes: Any) -> Trainer:
    config = train_config(**changes)
    return Trainer(
        build(**model or {}), Data(config.batch_size), Data(4, 1), config, out, family="toy"
    )


def train(out: Path, environment: dict[str, str], pause: float = 0.0, **changes: Any) -> None:
    """Train in a process of its own.

    Args:
        out: the experiment's folder.
        environment: what torchrun would set.
        pause: time that each batch takes [s], so that there is a moment to kill it in.
        changes: training settings.
    """
    os.environ |= environment
    base.family = family
    torch.set_num_threads(1)
    config = train_config(**changes)
    with processes("cpu") as own:
        # other processes start from other weights: the first one's must win
        system = build() if own.rank == 0 else System(Config(), CONTEXT)
        data = Data(config.batch_size, pause=pause)
        valid = Data(config.batch_size, seed=1)
        Trainer(system, data, valid, config, out, family="toy", processes=own).run()

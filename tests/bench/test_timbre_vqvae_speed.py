"""timbre_vqvae: training beside the published network, a conversion and a reference."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tests.sounds import buzz
from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.data.triplets import TripletBatch
from vctool.engine.distributed import Processes
from vctool.engine.optim import GroupOptimizers
from vctool.engine.settings import TrainConfig
from vctool.engine.step import train_step
from vctool.features import framing
from vctool.features.settings import FeatureConfig
from vctool.models.base import Condition, Context
from vctool.models.timbre_vqvae.system import System

ROUNDS = int(os.environ.get("VCTOOL_BENCH_ROUNDS", "2"))
SECONDS = 60.0
REAL_TIME, REFERENCE_SECONDS, TIMES = 0.05, 0.5, 10.0
"""Most of a conversion's real-time factor and of a reference's time [s], both in CPU time; least of
examples per second over the published network's."""
FEATURES = build(FeatureConfig, read_yaml(PROJECT_ROOT / "conf/features/16k_timbre.yaml"), "16k")


def built(conf: str) -> tuple[System, TrainConfig, int]:
    tree = read_yaml(PROJECT_ROOT / f"conf/timbre_vqvae/{conf}.yaml")
    config = build(System.Config, tree["model"], conf)
    context = Context(features=FEATURES, vocoder="wave", roles=())
    train = build(TrainConfig, {**tree["train"], "precision": "fp32"}, conf)
    return System(config, context), train, config.clip_frames


def test_a_conversion_and_its_reference(measured: type[Any]) -> None:
    system = built("default")[0].eval()
    riff = buzz(SECONDS, 220, 12).astype(np.float32)
    source, style = ({"wave": framing.frame(wave, FEATURES)} for wave in (riff, riff[: 30 * 16000]))
    reference = system.reference([style])
    told = Condition(None, reference, System.Options())
    works: dict[str, Callable[[], object]] = {
        "a minute converted": lambda: system.convert(source, told, None),
        "a reference of 30 s": lambda: system.reference([style]),
    }
    costs = {name: one.cpu for name, one in measured(works, ROUNDS).least.items()}
    factor = costs["a minute converted"] / SECONDS
    print(f"\nreal-time factor {factor:.3f}; a reference {costs['a reference of 30 s']:.2f} s")
    assert factor < REAL_TIME and costs["a reference of 30 s"] < REFERENCE_SECONDS


def test_training_beside_the_published_network(measured: type[Any]) -> None:
    """Triplets per second of CPU time; those of the default are a quarter as long."""
    works: dict[str, Callable[[], object]] = {}
    sizes = {}
    for conf, size in (("default", 8), ("published", 2)):
        system, train, frames = built(conf)
        sizes[conf] = size
        waves = 0.1 * torch.randn(size, 500, frames)
        batch = TripletBatch(waves, waves, waves, torch.arange(size))
        optimizers = GroupOptimizers(system.train(), train)

        def step(one: System = system, data: Any = batch, by: Any = optimizers) -> object:
            return train_step(one, data, 0, by, Processes())

        works[conf] = step
    costs = {name: one.cpu for name, one in measured(works, ROUNDS).least.items()}
    per_second = {conf: sizes[conf] / cost for conf, cost in costs.items()}
    print(f"\ntriplets per second: {per_second}")
    assert per_second["default"] > TIMES * per_second["published"]

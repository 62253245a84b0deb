"""Doubles beside WORLD's analysis and synthesis of the same leads, on one core.

`VCTOOL_BENCH_ROUNDS` is how often each is timed.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.bench.conftest import RATE, Material
from vctool.features import world
from vctool.features.settings import FeatureConfig
from vctool.inference.double import Doubler, DoubleSettings

ROUNDS = int(os.environ.get("VCTOOL_BENCH_ROUNDS", "3"))
TARGET = 0.15
"""Real-time factor of one double at 44.1 kHz."""
BLOCK = 512


def test_a_double_in_real_time(
    material: Material, measured: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Target: a real-time factor of at most 0.15 at 44.1 kHz; two takes share the analysis."""
    torch.set_num_threads(1)
    leads = material.singing[:4]
    seconds = sum(map(len, leads)) / RATE
    config = FeatureConfig(rate=RATE, hop_length=220)
    made: dict[str, np.ndarray] = {}

    def double(takes: int, block: int) -> None:
        doubler = Doubler(RATE, DoubleSettings(takes=takes))
        sound = np.concatenate(leads)
        out = [doubler.process(sound[at : at + block]) for at in range(0, len(sound), block)]
        made[f"{takes}, {block}"] = np.concatenate(out, axis=1)

    def resynthesise() -> None:
        for lead in leads:
            world.synthesise(world.analyse(lead, config), config, len(lead))

    works: dict[str, Callable[[], object]] = {
        "one double": lambda: double(1, RATE),
        "one double, blocks of 512": lambda: double(1, BLOCK),
        "two doubles": lambda: double(2, RATE),
        "WORLD": resynthesise,
    }
    least = measured(works, ROUNDS).least
    with capsys.disabled():
        print(
            f"\nDoubles of {seconds:.0f} s of singing at {RATE} Hz, real-time factors on one core:"
        )
        for name, cost in least.items():
            target = f" (target {TARGET})" if name == "one double" else ""
            print(f"  {name}: {cost.cpu / seconds:.3f}{target}")
    np.testing.assert_array_equal(made[f"1, {RATE}"], made[f"1, {BLOCK}"])

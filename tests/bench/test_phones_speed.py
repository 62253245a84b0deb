"""Phone posteriors of speech, on one core.

`VCTOOL_BENCH_UTTERANCES` is how many sentences are analysed.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from vctool.features import phones
from vctool.features.settings import FeatureConfig

UTTERANCES = int(os.environ.get("VCTOOL_BENCH_UTTERANCES", "24"))
ROUNDS = int(os.environ.get("VCTOOL_BENCH_ROUNDS", "2"))
TARGET = 0.01


def test_phone_posteriors(
    sentences: Callable[..., Any],
    speech_features: FeatureConfig,
    measured: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Target: a real-time factor of 0.01."""
    torch.set_num_threads(1)
    waves = [one.load(phones.RATE) for one in sentences("SF1", UTTERANCES)]
    seconds = sum(map(len, waves)) / phones.RATE
    cepstra: list[np.ndarray] = []
    found: list[torch.Tensor] = []

    def analyse() -> None:
        cepstra[:] = [phones.of_wave(wave, speech_features) for wave in waves]

    def score() -> None:
        with torch.no_grad():
            found[:] = [phones.posteriors(torch.from_numpy(one)) for one in cepstra]

    least = measured({"front end": analyse, "Gaussians": score}, ROUNDS).least
    with capsys.disabled():
        print(f"\nPhone posteriors of {seconds:.0f} s of speech, on one core:")
        for name, cost in least.items():
            print(f"  {name}: real-time factor {cost.cpu / seconds:.4f}")
        total = sum(cost.cpu for cost in least.values()) / seconds
        print(f"  together {total:.4f} (target {TARGET})")
    assert all(torch.isfinite(one).all() for one in found)

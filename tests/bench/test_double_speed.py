"""Doubles beside WORLD's analysis and synthesis of the same leads, on one core; and an hour of one.

`VCTOOL_BENCH_ROUNDS` is how often each is timed, and `VCTOOL_BENCH_MINUTES` how long the lead is
that is doubled by the command; what is stated is of 60.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.bench.conftest import RATE, Material, resident
from vctool.config import PROJECT_ROOT
from vctool.features import world
from vctool.features.settings import FeatureConfig
from vctool.inference.double import Doubler, DoubleSettings

ROUNDS = int(os.environ.get("VCTOOL_BENCH_ROUNDS", "3"))
MINUTES = float(os.environ.get("VCTOOL_BENCH_MINUTES", "60"))
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


@pytest.mark.timeout(7200)
def test_an_hour_takes_the_memory_of_a_minute(
    material: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Memory is flat while it works, and not only its peak within what there is."""
    sound = np.concatenate(material.singing[:4])
    lead, double = tmp_path / "lead.wav", tmp_path / "lead.double.wav"
    wanted = round(60 * MINUTES * RATE)
    with soundfile.SoundFile(lead, "w", RATE, 1) as file:
        for at in range(0, wanted, len(sound)):
            file.write(sound[: wanted - at])
    begin, memory = time.monotonic(), list[float]()
    running = subprocess.Popen(
        [sys.executable, "-m", "vctool", "double", str(lead), "--out", str(double)],
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
    )
    while running.poll() is None:
        memory.append(resident(running.pid))
        time.sleep(1.0)
    took = time.monotonic() - begin
    assert running.returncode == 0 and soundfile.info(double).frames == wanted
    first, last = (max(memory[len(memory) * n // 4 : len(memory) * (n + 1) // 4]) for n in (1, 3))
    with capsys.disabled():
        print(
            f"\n{MINUTES:g} minutes doubled in {took:.0f} s: memory at most {first:.0f} MB in the "
            f"second quarter, {last:.0f} MB in the last, {max(memory):.0f} MB in all"
        )
    assert last < first + 30

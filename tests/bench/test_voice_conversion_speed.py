"""`vctool convert` between speakers: one file of 5 s, 20 of them, and where the time goes.

Each command is a process of its own, started, loaded and ended; weights are as before training.
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

from vctool.audio.tracks import ArrayTrack
from vctool.config import PROJECT_ROOT
from vctool.engine import checkpoint
from vctool.features import world
from vctool.inference.converter import Converter

SECONDS = 5.0
FILES = int(os.environ.get("VCTOOL_BENCH_FILES", "20"))
THREADS = int(os.environ.get("VCTOOL_BENCH_THREADS", "2"))
ROUNDS = int(os.environ.get("VCTOOL_BENCH_ROUNDS", "3"))
CONFS = os.environ.get("VCTOOL_BENCH_CONFS", "default cyclegan_vc").split()
TARGET_ONE, TARGET_MANY = 0.25, 0.12


@pytest.fixture(scope="module")
def waves(sentences: Callable[..., Any]) -> list[np.ndarray]:
    """Sentences of one speaker, put end to end and cut into files of equal length."""
    said = [one.load(16000) for one in sentences("SF1", 54, "evaluation_all")]
    length = int(SECONDS * 16000)
    joined = np.resize(np.concatenate(said), FILES * length)
    return list(joined.reshape(FILES, length))


@pytest.fixture(scope="module")
def models(
    voice_systems: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Stored models, by the conf that they are built from."""
    made = {}
    for conf in CONFS:
        system, recipe = voice_systems(conf)
        made[conf] = tmp_path_factory.mktemp(conf)
        plain = recipe.model_dump(mode="json", by_alias=True)
        checkpoint.save(
            made[conf] / "checkpoints", system, family=recipe.family, step=0, recipe=plain
        )
    return made


def run(*arguments: str) -> float:
    """Run Python to its end; return the seconds that passed."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": str(THREADS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - began


def test_convert(
    waves: list[np.ndarray],
    models: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Targets: a real-time factor under 0.25 for one file and under 0.12 over 20, all included."""
    for index, wave in enumerate(waves):
        soundfile.write(tmp_path / f"{index:02}.wav", wave, 16000)
    names = sorted(str(path) for path in tmp_path.glob("*.wav"))
    out = tmp_path / "out"
    taken: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        taken.setdefault("torch", []).append(run("-c", "import torch"))
        for conf, model in models.items():
            for inputs in (names[:1], names):
                options = ["--model", str(model), "--out", str(out), "--force", "--device", "cpu"]
                spent = run("-m", "vctool", "convert", *inputs, *options)
                taken.setdefault(f"{conf} {len(inputs)}", []).append(spent)
    least = {name: min(spent) for name, spent in taken.items()}
    with capsys.disabled():
        print(f"\nvctool convert, files of {SECONDS:g} s, untrained weights, {THREADS} threads:")
        print(f"  {least['torch']:.2f} s for Python to import torch alone")
        for conf in models:
            one, many = least[f"{conf} 1"], least[f"{conf} {len(names)}"]
            each = (many - one) / max(1, len(names) - 1)
            print(f"  {conf}: real-time factor {one / SECONDS:.3f} for one file ", end="")
            print(f"(target {TARGET_ONE}), {many / SECONDS / len(names):.3f} ", end="")
            print(f"over {len(names)} (target {TARGET_MANY}); ", end="")
            print(f"{one - each:.2f} s of start, then {each / SECONDS:.3f} for each file")
    made = [path for path in out.iterdir() if path.suffix == ".wav"]
    assert len(made) == len(names)
    assert all(soundfile.info(path).frames == SECONDS * 16000 for path in made)


def test_parts(
    waves: list[np.ndarray],
    models: dict[str, Path],
    measured: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Print where the time of one file goes once all is loaded."""
    torch.set_num_threads(THREADS)
    voice = ArrayTrack(waves[0])
    with capsys.disabled():
        print(f"\nconverting {SECONDS:g} s, {THREADS} threads, real-time factor (CPU):")
    for conf, model in models.items():
        converter = Converter(model, "cpu")
        config, request = converter.features, converter.request()
        known = converter.scan(voice, request)
        kept = world.analyse(voice.wave, config, *known.f0_range)
        works: dict[str, Callable[[], object]] = {
            "first pass": lambda c=converter, r=request: c.scan(voice, r),
            "F0 and WORLD analysis": lambda c=config, k=known: world.analyse(
                voice.wave, c, *k.f0_range
            ),
            "network": lambda c=converter, r=request, k=kept: c.infer({"world": k}, None, r),
            "WORLD synthesis": lambda c=config, k=kept: world.synthesise(k, c, voice.samples),
            "all": lambda c=converter: c.convert(voice.wave, c.rate),
        }
        least = measured(works, ROUNDS).least
        told = [
            f"{name} {cost.wall / SECONDS:.4f} ({cost.cpu / SECONDS:.4f})"
            for name, cost in least.items()
        ]
        with capsys.disabled():
            print(f"  {conf}: {', '.join(told)}")
        wave, rate = converter.convert(voice.wave, converter.rate)
        assert rate == converter.rate and len(wave) == voice.samples and np.isfinite(wave).all()

"""Real time: what ONNX Runtime saves, ten instances at once, and an hour over pipes.

The network is `speaker_autoencoder` at its default size, untaught: what it costs does not depend on
what it has learnt. `VCTOOL_BENCH_MINUTES` sets the length of what goes over pipes; the target is
stated for 60.
"""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.bench.conftest import resident
from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.engine import checkpoint
from vctool.export import benchmark, checks
from vctool.export import onnx as exporting
from vctool.export.parity import sounds
from vctool.features.settings import FeatureConfig
from vctool.models.base import Condition, Context, System, family
from vctool.nn.streaming import Stream

MINUTES = float(os.environ.get("VCTOOL_BENCH_MINUTES", "60"))
VOICES = ("anna", "ben")
BARS = {512: 1.7, 1024: 1.0}
"""CPU seconds of ten instances for each second of sound, at most, by samples at once."""


@pytest.fixture(scope="module")
def system() -> System:
    torch.set_num_threads(1)
    features = build(FeatureConfig, read_yaml(PROJECT_ROOT / "conf/features/44k_voice.yaml"), "")
    conf = read_yaml(PROJECT_ROOT / "conf" / "speaker_autoencoder" / "default.yaml")
    made = family("speaker_autoencoder")
    context = Context(features=features, vocoder="wave", roles=VOICES)
    torch.manual_seed(0)
    return made(build(made.Config, conf["model"], "default"), context).eval()


def test_what_the_runtime_saves_and_ten_instances_cost(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = system.streamable()
    assert isinstance(stream, Stream)
    controls = system.controls(Condition(), VOICES[-1])
    content = checks.require(exporting.graph(stream, {VOICES[-1]: controls}), stream)
    found = benchmark.measure(stream, content, controls)
    with capsys.disabled():
        count = sum(one.numel() for one in stream.parameters())
        late = 1000 * stream.latency / stream.rate
        print(f"\n{count / 1e6:.2f} M parameters, {len(content) / 1e6:.1f} MB, {late:.1f} ms late")
        for cost in found.costs:
            print(
                f"  {cost.block} samples at once, CPU s/s: torch {cost.torch:.3f}, ONNX Runtime "
                f"{cost.onnx:.3f} ({cost.faster:.2f} times as fast, bar 1.5); ten "
                f"{cost.ten:.2f} (bar {BARS[cost.block]}), {cost.sharing:.2f} times ten alone "
                "(bar 1.1)"
            )
        print(f"  memory: {found.memory:.0f} MB with one stream, {found.more:.0f} MB for nine more")


@pytest.mark.timeout(7200)
def test_an_hour_over_pipes(
    system: System, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Memory stays flat, and a click in the last second comes out where it went in."""
    model = tmp_path / "exp" / "real"
    recipe = {"name": "real", "corpus": {"name": "mini"}}
    saved = model / "checkpoints"
    checkpoint.save(saved, system, family="speaker_autoencoder", step=0, recipe=recipe)
    rate = system.context.features.rate
    second = sounds(rate, 1.0)["voice"]
    seconds = round(60 * MINUTES)

    def piped(last: np.ndarray) -> tuple[np.ndarray, list[float], float, int]:
        words = ("stream", "--model", str(model), "--to", "anna", "--stdin", "--stdout")
        running = subprocess.Popen(
            [sys.executable, "-m", "vctool", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
        )
        assert running.stdin is not None and running.stdout is not None
        kept, count, memory, begin = b"", 0, list[float](), time.monotonic()

        def write() -> None:
            assert running.stdin is not None
            for _ in range(seconds - 1):
                running.stdin.write(second.tobytes())
            running.stdin.write(last.tobytes())
            running.stdin.close()

        writer = threading.Thread(target=write)
        writer.start()
        while part := running.stdout.read(4 * rate):
            count += len(part)
            kept = (kept + part)[-4 * rate :]
            if count // (40 * rate) > len(memory):
                memory.append(resident(running.pid))
        writer.join()
        running.stdout.close()
        assert running.wait() == 0
        return np.frombuffer(kept, np.float32), memory, time.monotonic() - begin, count // 4

    clicked = second.copy()
    clicked[rate // 2] += 0.5
    plain, memory, took, count = piped(second)
    moved, *_ = piped(clicked)
    assert count == seconds * rate
    assert int(np.abs(moved - plain).argmax()) == rate // 2
    with capsys.disabled():
        print(
            f"\n{seconds / 60:.1f} minutes over pipes in {took:.0f} s: memory {memory[0]:.0f} MB "
            f"after 10 s, {memory[-1]:.0f} MB in the end; the delay is what it was"
        )
    assert memory[-1] < memory[0] + 30

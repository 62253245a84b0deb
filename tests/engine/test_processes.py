import os
import random
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType

import pytest
import torch

from vctool.engine import checkpoint, manifest
from vctool.engine.distributed import choose_device, require_equal_shares
from vctool.errors import ConfigError, TrainingError

Start = Callable[..., ForkServerProcess]


def finish(process: ForkServerProcess) -> None:
    process.join(60)
    assert process.exitcode == 0


def model(out: Path) -> dict[str, torch.Tensor]:
    return checkpoint.read_tensors(manifest.find(out) / "model.safetensors")


def test_two_processes_on_half_batches_equal_one_on_the_whole(
    toy: ModuleType, start_training: Start, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    both = [
        start_training(tmp_path / "two", {**group, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in (0, 1)
    ]
    toy.trainer(tmp_path / "one").run()
    for process in both:
        finish(process)
    one, two = model(tmp_path / "one"), model(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)
    # ten steps of 1e-2 have moved the weights far more than that
    assert (one["generator.0.weight"] - toy.build().generator[0].weight).abs().max() > 0.02
    events = list((tmp_path / "two/tensorboard").glob("events*"))
    assert len(events) == 1, "only the first process writes"


def test_killed_five_times_at_random_moments_ends_as_undisturbed(
    toy: ModuleType, start_training: Start, tmp_path: Path
) -> None:
    steps = 60
    toy.trainer(tmp_path / "whole", steps=steps, save_every=1).run()
    random_moment = random.Random(0)
    kills = 0
    while kills < 5:
        process = start_training(tmp_path / "killed", {}, pause=0.02, steps=steps, save_every=1)
        journal = tmp_path / "killed/checkpoints/manifest.json"
        before = journal.stat().st_mtime_ns if journal.exists() else 0
        while not journal.exists() or journal.stat().st_mtime_ns == before:
            assert process.is_alive()
            time.sleep(0.005)
        time.sleep(random_moment.uniform(0, 0.15))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(10)
        kills += process.exitcode == -signal.SIGKILL
    stopped = checkpoint.load(tmp_path / "killed")[1]["step"]
    assert 0 < stopped < steps
    finish(start_training(tmp_path / "killed", {}, steps=steps, save_every=1))
    one, two = model(tmp_path / "whole"), model(tmp_path / "killed")
    assert all(torch.equal(one[name], two[name]) for name in one)
    left = [path.name for path in (tmp_path / "killed/checkpoints").glob(".*")]
    assert left == []


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"batch_size = 5: 2 processes .* multiple of 2"):
        require_equal_shares(5, 2)
    require_equal_shares(6, 2)


def test_an_unknown_or_absent_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(ConfigError, match="--device tpu: no such device"):
        choose_device("tpu")
    with pytest.raises(ConfigError, match="no GPU here; use --device cpu"):
        choose_device("cuda")

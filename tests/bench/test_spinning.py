"""Steps per second of training `mini`, with OpenMP's threads asleep or spinning while they wait.

The real command, in processes of its own; the corpus is a small part of `mini`, since the time of
a step does not depend on it. On a machine that has other work, the figures beside 0 busy processes
mean nothing.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from vctool.corpora import mini
from vctool.openmp import ASLEEP
from vctool.stages.download import SEED, Prepared

STEPS = int(os.environ.get("VCTOOL_BENCH_STEPS", "12"))
"""Steps of one training; the first two are for warming up."""
ROUNDS = int(os.environ.get("VCTOOL_BENCH_ROUNDS", "1"))
"""Trainings of each kind, in turn."""
BUSY = 4
"""Processes of other work."""
PATIENCE = 120.0
"""Seconds after which a training is ended; the steps that it has done by then count."""
SPINNING = {"GOMP_SPINCOUNT": "300000"}
"""What libgomp does unless told otherwise, said in a way that vctool takes for its user's own."""


def project(folder: Path) -> None:
    """Prepare a small part of `mini`, up to its features."""
    sizes = mini.Sizes(train=12, dev=2, test=2)
    source = mini.download(folder / "data/corpora", sizes=sizes, nj=2)
    report = mini.prepare(source, folder / "data/mini", seed=SEED, nj=2)
    stamp = Prepared("mini", str(source), SEED, str(report))
    (folder / "data/mini/prepared.json").write_text(json.dumps(asdict(stamp)))
    for stage in ("download", "features"):
        subprocess.run([sys.executable, "-m", "vctool", stage], cwd=folder, check=True)


@contextmanager
def other_work(count: int) -> Iterator[None]:
    """Keep as many processes busy."""
    with ExitStack() as ending:
        for _ in range(count):
            process = ending.enter_context(
                subprocess.Popen([sys.executable, "-c", "while True: pass"])
            )
            ending.callback(process.kill)
        yield


def seconds_per_step(folder: Path, name: str, environment: dict[str, str]) -> list[float]:
    """Train, and return the time of every step after the first two [s]."""
    own = {key: value for key, value in os.environ.items() if key not in ASLEEP}
    settings = {"name": name, "train.steps": STEPS, "train.log_every": 1}
    settings |= {"train.save_every": 10**6, "train.validate_every": 10**6}
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "vctool", "train", "--fresh", *options]
    try:
        subprocess.run(
            command,
            cwd=folder,
            env=own | {"OMP_NUM_THREADS": "2"} | environment,
            check=True,
            timeout=PATIENCE,
            capture_output=True,
        )
    except subprocess.TimeoutExpired:
        pass
    journal = folder / "exp" / name / "log/metrics.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    return [line["seconds_per_step"] for line in lines if line["split"] == "train"][2:]


def test_spinning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Target: nothing lost on a quiet machine, and other work costs its share and no more."""
    project(tmp_path)
    taken: dict[tuple[int, str], list[float]] = {}
    for _ in range(ROUNDS):
        for busy in (0, BUSY):
            for name, environment in (("asleep", {}), ("spinning", SPINNING)):
                with other_work(busy):
                    seconds = seconds_per_step(tmp_path, f"bench_{name}", environment)
                taken.setdefault((busy, name), []).extend(seconds)
    with capsys.disabled():
        print(f"\ntraining mini, 2 threads on {os.cpu_count()} cores:")
        for (busy, name), seconds in taken.items():
            speed = f"{1 / statistics.median(seconds):.2f} steps per second" if seconds else "none"
            print(f"  beside {busy} busy processes, {name}: {speed}, {len(seconds)} steps timed")
    assert taken[0, "asleep"] and taken[BUSY, "asleep"]

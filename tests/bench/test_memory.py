"""Memory of `vctool convert` on a long recording, and the time of `vctool --help`.

`VCTOOL_BENCH_MINUTES` sets the length of the recording; the target is stated for 60.
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

from vctool.config import PROJECT_ROOT

RATE = 44100
MINUTES = float(os.environ.get("VCTOOL_BENCH_MINUTES", "60"))
TARGET_GIB = 2.0
HELP_SECONDS = 0.4

_CHILD = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
print(done.stderr[-2000:], file=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


def peak_gib(arguments: list[str], folder: Path) -> float:
    """Run vctool to its end in a process of its own; return its peak memory [GiB]."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, sys.executable, "-m", "vctool", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) / 2**20


def write_long(path: Path, waves: list[np.ndarray], minutes: float) -> None:
    """Write sentences one after the other until a recording is long enough."""
    wanted = round(minutes * 60 * RATE)
    joined = np.concatenate(waves)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        while wanted > 0:
            file.write(joined[:wanted])
            wanted -= len(joined)


def test_memory_of_a_long_conversion(
    experiments: Callable[..., Path],
    material: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Target: under 2 GiB for an hour at 44.1 kHz with the default model."""
    model = experiments("default", "44k")
    write_long(tmp_path / "long.wav", material.speech, MINUTES)
    write_long(tmp_path / "song.wav", material.accompaniments, min(MINUTES, 4.0))
    out = tmp_path / "out.wav"
    began = time.monotonic()
    options = ["--accomp", "song.wav", "--model", str(model), "--out", str(out), "--device", "cpu"]
    peak = peak_gib(["convert", "long.wav", *options], tmp_path)
    seconds = time.monotonic() - began
    with capsys.disabled():
        print(f"\nconvert {MINUTES:g} minutes: peak {peak:.2f} GiB (target {TARGET_GIB:g})", end="")
        print(f", real-time factor {seconds / (60 * MINUTES):.3f}")
    assert soundfile.info(out).frames == soundfile.info(tmp_path / "long.wav").frames


def test_time_of_help(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Target: under 0.4 s, the best of five."""
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "vctool", "--help"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
            capture_output=True,
            check=True,
        )
        taken.append(time.perf_counter() - began)
    with capsys.disabled():
        print(f"\nvctool --help: {min(taken):.2f} s (target {HELP_SECONDS})")
    assert taken

"""Time and memory of preparing and listing a folder of very many recordings.

`VCTOOL_BENCH_ENTRIES` sets how many; the target is stated for 100,000. They are hard links to a few
files, so the disk holds megabytes. Both must grow no faster than the count.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool.config import PROJECT_ROOT

ENTRIES = int(os.environ.get("VCTOOL_BENCH_ENTRIES", "100000"))
SPEAKERS = 100
RATE = 8000

_CHILD = """
import json, sys, time
from pathlib import Path
from vctool.corpora import from_wavs
from vctool.acquisition.memory import remembered
from vctool.data.datadir import DataDir
folder, out = Path(sys.argv[1]), Path(sys.argv[2])
began, used, taken = time.monotonic(), time.process_time(), {}
with remembered(out.parent / "measured.sqlite"):
    report = from_wavs.prepare(folder, out, domain="speech", nj=2)
taken |= {"prepare": time.monotonic() - began, "prepare_cpu": time.process_time() - used}
began, used = time.monotonic(), time.process_time()
count = sum(len(DataDir.read(out / split)) for split in ("train", "dev", "test"))
taken |= {"list": time.monotonic() - began, "list_cpu": time.process_time() - used}
# not getrusage: its maximum holds that of the process that this one was forked from
status = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
print(json.dumps({"count": count, "mib": peak, **taken}))
"""


def make(folder: Path, entries: int) -> None:
    """Link a few noises under very many names, shared out over speakers."""
    random = np.random.default_rng(0)
    sources = []
    for number in range(8):
        sources.append(folder / f"source{number}.wav")
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(sources[-1], random.uniform(-0.3, 0.3, RATE // 2), RATE)
    for number in range(entries):
        place = folder / "speakers" / f"s{number % SPEAKERS:03d}" / f"{number:06d}.wav"
        if number < SPEAKERS:
            place.parent.mkdir(parents=True)
        os.link(sources[number % len(sources)], place)


def run(folder: Path, out: Path) -> dict[str, float]:
    """Prepare and list a folder in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder / "speakers"), str(out)],
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_time_and_memory_grow_no_faster_than_the_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ENTRIES // 10
    rows = {}
    for entries in (few, ENTRIES):
        make(tmp_path / str(entries), entries)
        for name in ("first", "again"):
            rows[entries, name] = run(tmp_path / str(entries), tmp_path / f"out{entries}")
            assert rows[entries, name]["count"] == entries
    with capsys.disabled():
        for (entries, name), row in rows.items():
            print(
                f"\n{entries} recordings, {name}: prepared in {row['prepare']:.1f} s (CPU "
                f"{row['prepare_cpu']:.1f}), listed in {row['list']:.1f} s (CPU "
                f"{row['list_cpu']:.1f}), peak {row['mib']:.0f} MiB",
                end="",
            )
    for name in ("first", "again"):
        small, large = rows[few, name], rows[ENTRIES, name]
        for what in ("prepare_cpu", "list_cpu", "mib"):
            # what does not grow, such as starting Python, only makes the ratio smaller
            assert large[what] < 1.3 * ENTRIES / few * small[what], (name, what)
    assert rows[ENTRIES, "again"]["prepare_cpu"] < rows[ENTRIES, "first"]["prepare_cpu"]

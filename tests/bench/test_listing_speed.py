"""What listing models costs: CPU time of `vctool models`, beside that of a list of none.

Figures are printed, with the goal; that no weights are read is asserted elsewhere.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.conftest import ROOT, save_models


def seconds(folder: Path) -> tuple[float, int]:
    """Return the CPU time of a list [s], and how many models were listed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "vctool", "models", "--json"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, len(json.loads(done.stdout))


def test_fifty_models_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VCTOOL_MODELS", raising=False)
    (tmp_path / "none").mkdir()
    for number in range(25):
        save_models(tmp_path / "many" / "exp" / str(number))
    for path in sorted((tmp_path / "many" / "exp").glob("*/*")):
        path.rename(path.parent.parent / f"{path.parent.name}_{path.name}")
    seconds(tmp_path / "none")  # compiles modules
    for name in ("none", "many") * 3:
        used, count = seconds(tmp_path / name)
        print(f"{count:3} models: {used:.2f} s of CPU, goal 1; load {os.getloadavg()[0]:.1f}")
    assert count > 50

"""OpenMP's threads wait asleep in every command, unless its user wants it otherwise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import vctool
from vctool.errors import CheckpointError
from vctool.openmp import ASLEEP, wait_asleep
from vctool.workers import WorkerPool


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ASLEEP:
        monkeypatch.setenv(name, "")  # so that whatever a test sets is undone
        monkeypatch.delenv(name)


def test_a_command_has_libgomp_wait_asleep(root: Path, tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "vctool", "convert", "missing.wav"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root), "OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in said.stderr  # as read by libgomp when torch loads it
    assert "GOMP_SPINCOUNT = '1000'" in said.stderr


def test_worker_processes_inherit_it() -> None:
    wait_asleep()
    with WorkerPool(1) as pool:
        assert {name: pool.submit(os.getenv, name).result() for name in ASLEEP} == ASLEEP


def test_loading_a_model_in_python_sets_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        vctool.load(tmp_path)
    assert ASLEEP.items() <= os.environ.items()


@pytest.mark.parametrize("name", ASLEEP)
def test_what_the_user_has_set_stays_and_stands_alone(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    wait_asleep()
    assert {one: os.environ[one] for one in ASLEEP if one in os.environ} == {name: "1"}

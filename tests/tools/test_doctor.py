"""`vctool doctor`: what it finds wrong, what it says to do, and what it keeps to itself."""

import getpass
import json
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from vctool.cli import app
from vctool.errors import AudioError
from vctool.tools import doctor


def check(name: str) -> doctor.Check:
    (found,) = (one for one in doctor.run() if one.name == name)
    return found


def test_this_environment_is_sound(workdir: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    told = json.loads(done.stdout)
    wrong = [one for one in told["checks"] if one["state"] == "problem"]
    assert (wrong, told["ok"], done.exit_code) == ([], True, 0)
    names = {one["name"] for one in told["checks"]}
    assert names >= {"python", "packages", "torch", "cores", "memory", "disk here", "ffmpeg"}
    assert names >= {"fluidsynth", "a write here", "a round trip", "models"}
    assert list(workdir.iterdir()) == []


def test_each_problem_has_its_remedy_and_ends_with_one(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "installed", lambda package: {"torch": "2.10.0"}.get(package, "0"))
    monkeypatch.setattr(doctor.shutil, "which", lambda program: None)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: SimpleNamespace(free=5e8))
    monkeypatch.setattr(doctor, "LEAST_MEMORY", 1e15)

    def refuse(*_: Any) -> None:
        raise AudioError("cannot be written")

    monkeypatch.setattr(doctor.audio, "write", refuse)
    (workdir / "exp" / "half" / "checkpoints" / "step-00000001").mkdir(parents=True)
    (workdir / "exp" / "bad.vctool").write_bytes(b"nothing")
    found = {one.name: one for one in doctor.run()}
    assert found["torch"].told == "2.10.0, pinned 2.11.0" or "torch" in found
    torch = next(one for one in doctor.run() if one.told.startswith("2.10.0"))
    assert (torch.state, torch.remedy) == ("problem", "pip install 'torch==2.11.0'")
    assert found["ffmpeg"].state == "note" and "apt-get install ffmpeg" in found["ffmpeg"].remedy
    for name in ("memory", "disk here", "a write here", "model bad"):
        assert found[name].state == "problem" and found[name].remedy, name
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1 and "pip install 'torch==2.11.0'" in done.stdout


def test_another_build_of_the_pinned_version_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"torch": "2.11.0+cpu", "pyworld-prebuilt": "0.3.5.post2"}

    def version(name: str) -> str:
        if name not in there:
            raise doctor.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(doctor, "version", version)
    assert doctor.installed("torch") == "2.11.0"
    assert doctor.installed("pyworld") == "0.3.5"
    assert doctor.installed("numpy") is None
    assert doctor.pins()["torch"] == "2.11.0"
    # of pins with a marker those of this system alone
    assert ("pyworld" in doctor.pins()) == (sys.platform == "linux")
    assert ("pyworld-prebuilt" in doctor.pins()) == (sys.platform != "linux")


def test_no_name_of_a_user_a_host_or_a_folder_is_told(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "anna")
    monkeypatch.setattr(socket, "gethostname", lambda: "annas-pc.example.org")
    monkeypatch.setenv("HOME", "/home/anna")
    kept = [
        doctor.Check("model x", "problem", f"{workdir}/exp/x: /home/anna/y of anna on annas-pc")
    ]
    for name in ("_python", "_packages", "_torch", "_machine", "_programs", "_files"):
        monkeypatch.setattr(doctor, name, lambda: iter(()))
    monkeypatch.setattr(doctor, "_models", lambda: iter(kept))
    (one,) = doctor.run()
    assert one.told == "./exp/x: ~/y of USER on HOST"


def test_a_torch_that_cannot_be_loaded_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (one,) = doctor._torch()
    assert (one.state, one.remedy) == ("problem", "local/setup.sh --cpu")

"""`vctool doctor`: whether this machine and this environment can do what vctool does.

What it prints can be sent to others: it names no user, no host and no folder of theirs, and asks
nothing of the network.
"""

import getpass
import os
import platform
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import numpy as np
from packaging.requirements import Requirement

import vctool
from vctool import audio
from vctool.config import PROJECT_ROOT
from vctool.errors import VctoolError
from vctool.tools import models

OK, NOTE, PROBLEM = "ok", "note", "problem"
"""States of a check: as it should be, of no harm to most, and to be mended."""

LEAST_PYTHON = (3, 11)
LEAST_MEMORY = 1e9
"""Memory that a conversion may take, torch included [bytes]."""
LEAST_DISK = 1e9
"""Room for outputs and temporary files of some hours [bytes]."""
TONE = 220.0
"""F0 of the tone that is analysed and made again [Hz]."""

STANDS_IN = {"pyworld": "pyworld-prebuilt"}
"""Packages that hold the same module under another name."""
PROGRAMS = {
    "ffmpeg": "m4a, mp4 and webm are read through it, and MUSDB18's mp4 edition",
    "fluidsynth": "the MIDI corpora are rendered by it",
}
"""Programs that only some work needs, and what for."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: str
    told: str
    """What there is."""
    remedy: str = ""
    """What to do about a problem, or about a note if it matters."""


def run() -> list[Check]:
    """Look at everything; what a check says holds no name of a user, host or folder."""
    looks: tuple[Callable[[], Iterator[Check]], ...] = (
        *(_python, _packages, _torch, _machine, _programs, _files, _models),
    )
    hide = _hider()
    return [
        Check(one.name, one.state, hide(one.told), hide(one.remedy))
        for look in looks
        for one in look()
    ]


def plain(checks: list[Check]) -> dict[str, Any]:
    """Return all checks as JSON has them."""
    return {"ok": healthy(checks), "checks": [asdict(one) for one in checks]}


def healthy(checks: list[Check]) -> bool:
    """Tell whether there is no problem."""
    return all(one.state != PROBLEM for one in checks)


HEADS = ("", "state", "what there is", "what to do")


def rows(checks: list[Check]) -> list[tuple[str, ...]]:
    """Lay checks out, a row each with the columns of `HEADS`."""
    return [(one.name, one.state, one.told, one.remedy) for one in checks]


def _python() -> Iterator[Check]:
    yield Check("vctool", OK, vctool.__version__)
    told = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < LEAST_PYTHON:
        yield Check("python", PROBLEM, told, "install Python 3.11 or newer, and set up anew")
    else:
        yield Check("python", OK, told)


def pins() -> dict[str, str]:
    """Return the versions that vctool asks for on this system, by package."""
    path = PROJECT_ROOT / "requirements.txt"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else requires("vctool") or []
    asked = (Requirement(line) for text in lines if (line := text.partition("#")[0].strip()))
    here = (one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""}))
    return {one.name: str(one.specifier).removeprefix("==") for one in here}


def installed(package: str) -> str | None:
    """Return the version of a package here, without its build; None where it is not installed."""
    for name in filter(None, (package, STANDS_IN.get(package))):
        try:
            return version(name).partition("+")[0].partition(".post")[0]
        except PackageNotFoundError:
            continue
    return None


def _packages() -> Iterator[Check]:
    wanted = pins()
    wrong = 0
    for package, pinned in wanted.items():
        here = installed(package)
        if here != pinned.partition(".post")[0]:
            wrong += 1
            told = f"{here or 'not installed'}, pinned {pinned}"
            yield Check(package, PROBLEM, told, f"pip install '{package}=={pinned}'")
    if not wrong:
        yield Check("packages", OK, f"all {len(wanted)} as pinned")


def _torch() -> Iterator[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0]
        yield Check("torch", PROBLEM, f"cannot be imported ({reason})", "local/setup.sh --cpu")
        return
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    devices = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    yield Check("torch", OK, f"{torch.__version__}, {built}, {', '.join(devices) or 'no GPU'}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check("cores", OK, f"{cores}, of which torch takes {torch.get_num_threads()}")


def _machine() -> Iterator[Check]:
    memory = Path("/proc/meminfo")
    if memory.is_file():
        known = dict(re.findall(r"^(\w+):\s+(\d+) kB", memory.read_text(), re.M))
        free, total = (1024 * int(known[name]) for name in ("MemAvailable", "MemTotal"))
        told = f"{free / 1e9:.1f} GB free of {total / 1e9:.1f}"
        enough = free >= LEAST_MEMORY
        remedy = "" if enough else "end other programs: converting takes up to 1 GB"
        yield Check("memory", OK if enough else PROBLEM, told, remedy)
    for name, folder in (("disk here", Path()), ("disk for temporary files", _temporary())):
        free = shutil.disk_usage(folder).free
        enough = free >= LEAST_DISK
        remedy = "" if enough else "make room: long recordings take some hundred MB an hour"
        yield Check(name, OK if enough else PROBLEM, f"{free / 1e9:.1f} GB free", remedy)


def _temporary() -> Path:
    return Path(tempfile.gettempdir())


def _programs() -> Iterator[Check]:
    for program, purpose in PROGRAMS.items():
        if shutil.which(program):
            yield Check(program, OK, "installed")
        else:
            remedy = f"apt-get install {program}"
            yield Check(program, NOTE, f"not installed; {purpose}", remedy)


def _files() -> Iterator[Check]:
    """Write a tone here and read it, and take it apart and make it again."""
    from vctool.features import world
    from vctool.features.settings import FeatureConfig

    rate = 16000
    time = np.arange(rate) / rate
    tone = sum(0.3 / k * np.sin(2 * np.pi * k * TONE * time) for k in range(1, 10))
    wave = np.asarray(0.5 * tone, np.float32)
    try:
        with tempfile.TemporaryDirectory(dir=".", prefix=".vctool-doctor-") as folder:
            path = Path(folder) / "tone.wav"
            audio.write(path, wave, rate)
            read, _ = audio.read(path)
    except (OSError, VctoolError):
        yield Check("a write here", PROBLEM, "refused", "go to a folder that you may write to")
    else:
        same = len(read) == len(wave) and float(np.abs(read - wave).max()) <= 1 / 32768
        remedy = "" if same else "the disk returns other bytes than were written: check it"
        yield Check("a write here", OK if same else PROBLEM, "read as written", remedy)
    config = FeatureConfig(rate=rate, hop_length=80)
    made = world.synthesise(world.analyse(wave, config), config, len(wave))
    f0 = world.estimate_f0(made, config)
    off = abs(float(np.median(f0[f0 > 0])) / TONE - 1) if (f0 > 0).any() else 1.0
    if off < 0.02:
        yield Check("a round trip", OK, "WORLD makes a tone again")
    else:
        remedy = "pip install --force-reinstall pyworld, or pyworld-prebuilt"
        yield Check("a round trip", PROBLEM, "WORLD makes another tone", remedy)


def _models() -> Iterator[Check]:
    listed = models.inventory()
    yield Check("models", OK, f"{sum(one.loads for one in listed)}, see vctool models")
    for one in listed:
        if not one.loads:
            remedy = "see what it says; or delete it, if it is of no use"
            yield Check(f"model {one.id}", PROBLEM, one.problem, remedy)


def _hider() -> Callable[[str], str]:
    """Return what takes names of users, hosts and folders out of a text."""
    folders = {str(Path.cwd()): ".", str(Path(sys.prefix)): "ENVIRONMENT", _temporary(): "TMP"}
    home = os.path.expanduser("~")
    if len(home) > 1 and not home.startswith("~"):
        folders[home] = "~"
    names = {socket.gethostname(): "HOST", socket.gethostname().partition(".")[0]: "HOST"}
    try:
        names[getpass.getuser()] = "USER"
    except (OSError, KeyError):  # a user of a container may have no name
        pass

    def hide(text: str) -> str:
        for folder, word in sorted(folders.items(), key=lambda one: -len(str(one[0]))):
            text = text.replace(str(folder), word)
        for name, word in names.items():
            if name:
                text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", word, text)
        return text

    return hide

"""Commands of vctool in processes that need not import torch first.

Importing torch and what comes with it takes seconds, a fork milliseconds. One process imports the
large packages, but nothing of vctool, and forks for every command: the child is what
`python -m vctool` would be, with the folder, the environment and the standard streams of its
caller. `Warm.python` stands in for `python`, for scripts as well: it hands `-m vctool ...` over
and leaves all else to the real one.

Not seen here is what happens while packages are imported: how long it takes, what it warns of,
which environment variables it reads. Tests of that start a process of their own.
"""

import gc
import importlib
import json
import multiprocessing
import os
import runpy
import selectors
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

LARGE = (
    *("torch", "torch.utils.tensorboard", "torchaudio", "safetensors.torch", "numpy", "numba"),
    *("scipy.fft", "scipy.interpolate", "scipy.ndimage", "scipy.optimize", "scipy.signal"),
    *("scipy.spatial", "scipy.stats", "librosa", "librosa.feature", "librosa.filters", "pyworld"),
    *("soundfile", "soxr", "kaldiio", "pydantic", "typer", "yaml", "tqdm", "pooch", "requests"),
    *("matplotlib.figure", "matplotlib.pyplot", "rich.console", "rich.table"),
)
"""What is imported beforehand, all of it in requirements.txt."""

LONGEST = 1 << 17
"""Bytes of one request: arguments and an environment."""

CLIENT = """\
#!{python} -IS
import json, os, socket, sys
if sys.argv[1:3] != ["-m", "vctool"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
    asked.connect({address!r})
    request = json.dumps([sys.argv[3:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(asked, [request], [0, 1, 2])
    sys.exit(int(asked.recv(16)))
"""


class Warm:
    """The process that forks; it ends with this object, or with the process that made it.

    Args:
        folder: where its socket and the stand-in for `python` go.
    """

    def __init__(self, folder: Path) -> None:
        self.environment = folder / "environment"
        """A virtual environment for `run.sh`, of nothing but `python`."""
        self.address = str(folder / "socket")
        self.python = self.environment / "bin" / "python"
        self.python.parent.mkdir(parents=True)
        (self.environment / ".vctool-setup").touch()
        self.python.write_text(CLIENT.format(python=sys.executable, address=self.address))
        self.python.chmod(0o755)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(self.address)
            listener.listen()
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(listener.fileno())],
                stdin=subprocess.PIPE,
                env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
                pass_fds=[listener.fileno()],
            )

    def run(
        self, arguments: Iterable[str], folder: Path, variables: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        """Run `python -m vctool` with these arguments in a folder to its end."""
        return subprocess.run(
            [self.python, "-m", "vctool", *arguments],
            cwd=folder,
            env=dict(variables),
            capture_output=True,
            text=True,
            check=False,
        )

    def __enter__(self) -> "Warm":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()


def serve(listener: socket.socket) -> None:
    """Fork for every request until stdin ends."""
    forking = multiprocessing.get_context("fork")
    begun = len(os.listdir("/proc/self/task"))
    assert begun == 1, f"{begun} threads were begun by imports; forked processes would lack them"
    with selectors.DefaultSelector() as waiting:
        for source in (listener.fileno(), 0):
            waiting.register(source, selectors.EVENT_READ)
        while all(key.fd != 0 for key, _ in waiting.select()):
            asked = listener.accept()[0]
            request, files, _, _ = socket.recv_fds(asked, LONGEST, 3)
            # Its end is a process's of multiprocessing: an interpreter with all this imported
            # takes 0.3 s to leave.
            child = forking.Process(target=become, args=(*json.loads(request), files))
            child.start()
            for file in files:
                os.close(file)
            child.join()
            code = child.exitcode
            asked.send(str(code if code >= 0 else 128 - code).encode())
            asked.close()


def become(arguments: list[str], folder: str, variables: dict[str, str], files: list[int]) -> None:
    """Be what `python -m vctool` is."""
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (
        open(place, mode, buffering, closefd=False)
        for place, (mode, buffering) in enumerate((("r", -1), ("w", -1), ("w", 1)))
    )
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    sys.path[0:1] = [folder, *filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = ["vctool", *arguments]
    assert "vctool" not in sys.modules
    runpy.run_module("vctool", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")  # of pyworld
    for name in LARGE:
        importlib.import_module(name)
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as inherited:
        serve(inherited)

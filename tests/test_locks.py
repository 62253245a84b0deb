"""Locks end with their process, name their holder, and are asked about without being in the way."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from filelock import lock_descriptor

from vctool import locks
from vctool.errors import DataError

HOLDER = """
import os, subprocess, sys, time
from pathlib import Path
from vctool import locks
with locks.hold(Path(sys.argv[1]), str):
    forked = os.fork()
    if forked == 0:
        time.sleep(60)
        os._exit(0)
    print(forked, flush=True)
    time.sleep(60)
"""


def ask_on(path: Path, begun: Event, over: Event) -> None:
    """Ask about a lock again and again, slowly enough to be met at it half of the time."""

    def slow(file: int, blocking: bool) -> bool:
        had = lock_descriptor(file, blocking=blocking)
        time.sleep(0.002)
        return had

    locks.lock_descriptor = slow  # type: ignore[assignment]  # in a process of its own
    begun.set()
    while not over.is_set():
        locks.is_held(path)
        time.sleep(0.002)


@contextmanager
def questions(path: Path, count: int) -> Iterator[None]:
    """Let processes ask about a lock meanwhile."""
    context = multiprocessing.get_context("spawn")
    over = context.Event()
    begun = [context.Event() for _ in range(count)]
    asking = [context.Process(target=ask_on, args=(path, one, over)) for one in begun]
    for process in asking:
        process.start()
    try:
        assert all(one.wait(60) for one in begun)
        yield
    finally:
        over.set()
        for process in asking:
            process.join(60)


def test_questions_keep_nobody_out_and_are_not_taken_for_a_holder(tmp_path: Path) -> None:
    path = tmp_path / "stage.lock"
    path.touch()
    with questions(path, 1):
        for _ in range(60):
            with locks.hold(path, str):
                pass
        for _ in range(60):
            assert not locks.is_held(path)
            time.sleep(0.0007)  # to meet the other at every moment of its question


def test_a_holder_is_named_and_lets_go_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "stage.lock"
    assert not locks.is_held(path)  # nobody ever held it
    with locks.hold(path, str):
        assert locks.is_held(path)
        with pytest.raises(DataError) as told, locks.hold(path, "busy: {}".format):
            pass
        assert str(told.value) == f"busy: process {os.getpid()} on {socket.gethostname()}"
    assert not locks.is_held(path)
    with pytest.raises(ZeroDivisionError), locks.hold(path, str):
        raise ZeroDivisionError
    assert not locks.is_held(path)


def test_a_killed_holder_keeps_nobody_out_even_if_its_children_live(tmp_path: Path) -> None:
    path = tmp_path / "stage.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(locks.__file__).parents[1])},
    ) as holder:
        assert holder.stdout is not None
        forked = int(holder.stdout.readline())
        try:
            assert locks.is_held(path)
            holder.kill()
            holder.wait()
            os.kill(forked, 0)  # it lives
            assert not locks.is_held(path)
            assert path.read_text() == f"process {holder.pid} on {socket.gethostname()}\n"
            with locks.hold(path, str):
                assert path.read_text() == f"process {os.getpid()} on {socket.gethostname()}\n"
        finally:
            os.kill(forked, signal.SIGKILL)


def test_a_lock_that_comes_free_in_time_is_had(tmp_path: Path) -> None:
    path = tmp_path / "stage.lock"
    with locks.hold(path, str):
        pass
    held = threading.Event()

    def briefly() -> None:
        with locks.hold(path, str):
            held.set()
            time.sleep(0.2)

    thread = threading.Thread(target=briefly)
    thread.start()
    assert held.wait(60)
    with locks.hold(path, str):
        thread.join()


def test_a_place_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "stage.lock"
    with pytest.raises(DataError, match=r"stage\.lock: cannot be written or locked: "):
        with locks.hold(path, str):
            pass
    (tmp_path / "folder.lock").mkdir()
    with pytest.raises(DataError, match=r"folder\.lock: cannot be written or locked: "):
        with locks.hold(tmp_path / "folder.lock", str):
            pass

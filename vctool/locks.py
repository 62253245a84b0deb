"""Locks between processes, for work that only one may do at a time.

filelock takes the kernel's lock on a file. The kernel releases it when its process ends, even if it
is killed, so a leftover file blocks nobody. The file's content names the holder.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout, lock_descriptor

from vctool.errors import DataError

logger = logging.getLogger(__name__)

PATIENCE = 1.0
"""Time [s] to wait for a lock. A call of `is_held` takes it for some microseconds only; a real
holder keeps it for as long as the work takes."""

_POLL = 0.002
_ATTEMPTS = 150
"""Attempts after which a busy lock is taken to be really held, not just tested by `is_held`: a
process that asks may be kept from its core for a tenth of a second where others are busy."""


@contextmanager
def hold(path: Path, busy: Callable[[str], str]) -> Iterator[None]:
    """Hold a lock while the body runs.

    Args:
        path: the lock's file; made, with its folder, where it is not there.
        busy: returns the error message if another process holds the lock, given that process's
            name, such as `process 4711 on kaldi1`.

    Raises:
        DataError: another process holds it, or the file cannot be written or locked.
    """
    lock = FileLock(
        path, timeout=PATIENCE, poll_interval=_POLL, fallback_to_soft=False, on_acquired=_sign
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise DataError(busy(_holder(path))) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be written or locked: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def wait(path: Path, waiting: str) -> Iterator[None]:
    """Hold a lock while the body runs, after waiting as long as another process keeps it.

    Args:
        path: the lock's file; made, with its folder, where it is not there.
        waiting: what is logged while another process holds it; `{}` stands for that process.

    Raises:
        DataError: the file cannot be written or locked.
    """
    lock = FileLock(path, poll_interval=_POLL, fallback_to_soft=False, on_acquired=_sign)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            logger.info(waiting.format(_holder(path)))
            lock.acquire(poll_interval=PATIENCE)
    except OSError as error:
        raise DataError(f"{path}: cannot be written or locked: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Tell whether a living process holds a lock, without disturbing processes that want it.

    Raises:
        DataError: the file cannot be opened or locked.
    """
    # A network file system locks only what is open for writing; elsewhere reading is enough.
    flags = os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY
    try:
        file = os.open(path, flags)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        for _ in range(_ATTEMPTS):
            if lock_descriptor(file, blocking=False):
                return False
            time.sleep(_POLL)
        return True
    except OSError as error:
        raise DataError(f"{path}: cannot be locked: {error.strerror}") from None
    finally:
        os.close(file)  # releases the lock


def _sign(file: int) -> None:
    """Write this process's name into a lock's open file."""
    os.ftruncate(file, 0)
    os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)


def _holder(path: Path) -> str:
    return path.read_text("utf-8", errors="replace").strip() or "another process"

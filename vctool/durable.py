"""What is on the disk and outlives a power cut, and not only in the system's memory."""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of files, is on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def settle(folders: Iterable[Path]) -> None:
    """Wait until all that was written to the file systems of some folders is on the disk.

    It takes about as long for thousands of files as for one, so that they need not be waited for
    one by one.

    Args:
        folders: those that are not there are passed over.

    Raises:
        OSError: the system could not write it.
    """
    devices = {folder.stat().st_dev: folder for folder in folders if folder.exists()}
    for folder in devices.values():
        file = os.open(folder, os.O_RDONLY)
        try:
            if _libc.syncfs(file):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
        finally:
            os.close(file)

"""Flush files to disk (fsync), so that they survive a power cut."""

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
    """Wait until all writes to the file systems of some folders are on the disk.

    This takes about as long for thousands of files as for one, so it is faster than fsync for each.

    Args:
        folders: those that do not exist are skipped.

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

"""Files that are there complete or not at all: written beside their place, then renamed."""

import contextlib
import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from vctool import temporary
from vctool.errors import DataError

_libc = ctypes.CDLL(None, use_errno=True)


def write_text(path: Path, text: str, *, sync: bool = False) -> None:
    """Write a UTF-8 text file atomically, with its folder.

    Args:
        path: the file.
        text: its content.
        sync: as for `write_bytes`.

    Raises:
        DataError: the folder cannot be written to, or the text cannot be encoded.
    """
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        bad = error.object[error.start : error.end]
        raise DataError(f"{path}: {bad!r} cannot be written as UTF-8; rename the file") from None
    write_bytes(path, content, sync=sync)


def write_bytes(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Write a file atomically, with its folder.

    Args:
        path: the file.
        content: its content.
        sync: return when it is on the disk and outlives a power cut; for what says that work is
            done, since it takes milliseconds.

    Raises:
        DataError: the folder cannot be written to.
    """
    beside = temporary.beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(beside, path)
        if sync:
            sync_folder(path.parent)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):  # renamed by now, or its folder is a file
            beside.unlink()


def commit_text(path: Path, text: str, *, beside: Iterable[Path] = ()) -> None:
    """Write a text file that says that others are complete, when those are on the disk.

    Args:
        path: the file.
        text: its content.
        beside: folders elsewhere with files that it speaks of; those of its own folder's file
            system are always meant.

    Raises:
        DataError: a folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    settle((path.parent, *beside))
    write_text(path, text, sync=True)


def settle(folders: Iterable[Path]) -> None:
    """Wait until all that was written to the file systems of some folders is on the disk.

    It takes as long for one file as for thousands, which are therefore not waited for one by one.

    Raises:
        DataError: the system could not write it.
    """
    devices = {folder.stat().st_dev: folder for folder in folders if folder.exists()}
    for folder in devices.values():
        file = os.open(folder, os.O_RDONLY)
        try:
            if _libc.syncfs(file):
                reason = os.strerror(ctypes.get_errno())
                raise DataError(f"{folder}: cannot be written to the disk: {reason}")
        finally:
            os.close(file)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's list of files is on the disk, after a file in it was renamed."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)

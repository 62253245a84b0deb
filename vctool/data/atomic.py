"""Write files atomically: beside their place, then renamed."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from vctool import temporary
from vctool.durable import settle, sync
from vctool.errors import DataError


def write_text(path: Path, text: str, *, durable: bool = False) -> None:
    """Write a UTF-8 text file atomically, with its folder.

    Args:
        path: the file.
        text: its content.
        durable: as for `write_bytes`.

    Raises:
        DataError: the folder cannot be written to, or the text cannot be encoded.
    """
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        bad = error.object[error.start : error.end]
        raise DataError(f"{path}: {bad!r} cannot be written as UTF-8; rename the file") from None
    write_bytes(path, content, durable=durable)


def write_bytes(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file atomically, with its folder.

    Args:
        path: the file.
        content: its content.
        durable: return when it is on the disk and outlives a power cut; for what says that work is
            done, since it takes milliseconds.

    Raises:
        DataError: the folder cannot be written to.
    """
    beside = temporary.beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(beside, path)
        if durable:
            sync(path.parent)
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        settle((path.parent, *beside))
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None
    write_text(path, text, durable=True)

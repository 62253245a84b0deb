"""Files that are there complete or not at all: written beside their place, then renamed."""

import contextlib
import os
from pathlib import Path

from vctool import temporary
from vctool.errors import DataError


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically, with its folder.

    Raises:
        DataError: the folder cannot be written to, or the text cannot be encoded.
    """
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        bad = error.object[error.start : error.end]
        raise DataError(f"{path}: {bad!r} cannot be written as UTF-8; rename the file") from None
    write_bytes(path, content)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically, with its folder.

    Raises:
        DataError: the folder cannot be written to.
    """
    beside = temporary.beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):  # renamed by now, or its folder is a file
            beside.unlink()

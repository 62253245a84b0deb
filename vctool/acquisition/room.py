"""Check for free disk space before writing."""

import shutil
from pathlib import Path

from vctool.acquisition.archive import human
from vctool.errors import DataError


def room_for(folder: Path, size: float, what: str) -> None:
    """Check that something fits on the disk of a folder, which need not exist yet.

    Args:
        folder: where it is to go.
        size: its size [bytes].
        what: what is to be done, for the message.

    Raises:
        DataError: it does not fit.
    """
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if size > free:
        raise DataError(
            f"{folder}: {what} needs {human(size)} of disk, {human(free)} are free; make room there"
        )

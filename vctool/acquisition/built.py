"""Corpora that are built here rather than fetched: made beside their place, then put there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vctool.errors import DataError


@contextmanager
def building(target: Path) -> Iterator[Path]:
    """Give a folder to build a corpus in, which takes the place of `target` at the end.

    A build that is killed, or that fails, leaves `target` as it was and nothing that looks
    complete.

    Args:
        target: where the corpus will be; what is there is replaced.

    Yields:
        A folder beside `target`, which is not made yet.

    Raises:
        DataError: the folder cannot be written to.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as temporary:
            beside = Path(temporary) / target.name
            yield beside
            if target.exists():
                os.replace(target, Path(temporary) / "old")
            os.replace(beside, target)
    except OSError as error:
        raise DataError(f"{target}: cannot be written: {error.strerror}") from None

"""What was found out about files once is not found out again while they stay as they are.

Decoding a thousand hours takes an hour; preparing them again with nothing new takes seconds. What a
function returned for a file is kept in one SQLite file by the function's purpose and the file's
path, and counts while the file's size and time of change are the same. Failures are not kept.
"""

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from vctool.errors import AudioError, DataError
from vctool.workers import threads

BATCH = 1000
"""Files that are worked on before what was found is written: what a killed run loses at most."""

_TELL_SECONDS = 30.0
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS found (
        purpose TEXT, path TEXT, size INTEGER, changed INTEGER, value TEXT,
        PRIMARY KEY (path, purpose)
    ) WITHOUT ROWID
"""

logger = logging.getLogger(__name__)


class Memory:
    """What is known of files.

    Args:
        path: the SQLite file; made where it is not there.

    Raises:
        DataError: it cannot be read or written, or is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=60.0)
            self._base.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise self._refused(error) from None

    def recall(self, purpose: str, files: Sequence[Path]) -> dict[Path, Any]:
        """Return what is known of those files that have not changed since."""
        found: dict[Path, Any] = {}
        try:
            for file in files:
                row = self._base.execute(
                    "SELECT size, changed, value FROM found WHERE path = ? AND purpose = ?",
                    (_key(file), purpose),
                ).fetchone()
                if row is not None and row[:2] == _state(file):
                    found[file] = json.loads(row[2])
        except (sqlite3.Error, ValueError) as error:
            raise self._refused(error) from None
        return found

    def keep(self, purpose: str, values: dict[Path, tuple[tuple[int, int], Any]]) -> None:
        """Keep what was found of files, each with the size and time of change it then had."""
        rows = [
            (purpose, _key(file), *state, json.dumps(value))
            for file, (state, value) in values.items()
        ]
        try:
            with self._base:
                self._base.executemany("INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._refused(error) from None

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def _refused(self, error: Exception) -> DataError:
        return DataError(f"{self.path}: {error}; remove it, it only saves time")


_open: list[Memory] = []


@contextmanager
def remembered(path: Path) -> Iterator[None]:
    """Let `over` use a memory within.

    Raises:
        DataError: the memory cannot be used.
    """
    memory = Memory(path)
    _open.append(memory)
    try:
        yield
    finally:
        _open.remove(memory)
        memory.close()


def over(
    files: Sequence[Path], work: Callable[[Path], Any], purpose: str, nj: int = 1
) -> Iterator[Any]:
    """Apply a function to files, or recall what it gave, in their order and in bounded memory.

    Args:
        files: the files.
        work: gives something that JSON can hold; a module's function or a `partial` of one, since
            the workers of a cluster may do it.
        purpose: what the function and its settings are called; changes with what they find.
        nj: number of threads.

    Yields:
        What it gave, or the `AudioError` that it raised, for each file.
    """
    memory = _open[-1] if _open else None
    begin = told = time.monotonic()
    with threads(nj) as pool:
        for first in range(0, len(files), BATCH):
            batch = files[first : first + BATCH]
            known = memory.recall(purpose, batch) if memory is not None else {}
            left = [file for file in batch if file not in known]
            states = {file: _state(file) for file in left}
            results = dict(zip(left, pool.map(partial(_attempt, work), left), strict=True))
            if memory is not None and left:
                memory.keep(
                    purpose,
                    {
                        file: (state, results[file])
                        for file, state in states.items()
                        if state is not None and not isinstance(results[file], AudioError)
                    },
                )
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                done = first + len(batch)
                rest = (told - begin) * (len(files) - done) / done
                logger.info("%d of %d files looked at, %.0f s to go", done, len(files), rest)
            for file in batch:
                yield known[file] if file in known else results[file]


def _attempt(work: Callable[[Path], Any], file: Path) -> Any:
    try:
        return work(file)
    except AudioError as error:
        return error


def _key(file: Path) -> str:
    return str(file.absolute())


def _state(file: Path) -> tuple[int, int] | None:
    """Return size and time of change; None where there is no such file, as `work` will tell."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns

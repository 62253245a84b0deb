"""What took long to find out is found out once: measures of recordings, verdicts of judges.

Values, JSON or arrays, lie in one SQLite file by the purpose that they were found for and by what
they tell of. A cache only saves time: whoever removes it gets the same results.

What is guaranteed:

- A wave is known by its rate and all of its samples, so a changed one is never taken for another.
- A file is known by its path, and a value counts while the file's size, its time of modification
  and its time of change [ns] are what they were before it was read. The kernel sets the last at
  every write, and nobody can set it back: an edit in place is noticed even at the same size and
  with its time of modification restored. It also moves with a new owner, mode or link; then the
  file is only read again. What is missed is a second write within the same tick of the file
  system's clock, some milliseconds.
- What failed is not kept.
- Processes may use one cache at once, and may be killed at any time.
- The file grows to `LIMIT`; what was not used for longest goes first.
"""

import hashlib
import io
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vctool.errors import AudioError, DataError
from vctool.workers import threads

BATCH = 1000
"""Files that are worked on before what was found is written: what a killed run loses at most."""

LIMIT = 4 * 2**30
"""Size [bytes] above which a quarter of the values goes."""

APPLICATION = 0x76637463
"""SQLite's `application_id` of a cache, by which it is told from other programs' files."""

VERSION = 1
"""Of the table; what other versions wrote is not read but thrown away."""

_TELL_SECONDS = 30.0
_BUSY_SECONDS = 60.0
_SCHEMA = """
    CREATE TABLE found (
        purpose TEXT NOT NULL, key BLOB NOT NULL, state TEXT, value NOT NULL, used INTEGER NOT NULL,
        PRIMARY KEY (key, purpose)
    )
"""
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "another process is writing to it; run this again",
    sqlite3.SQLITE_FULL: "make room there",
    sqlite3.SQLITE_READONLY: "allow writing to it",
    sqlite3.SQLITE_CANTOPEN: "allow writing to its folder",
}

logger = logging.getLogger(__name__)

Ask = Callable[[Sequence[np.ndarray], int], np.ndarray]
"""Maps N waves, each (T,), and their rate [Hz] to (N, D)."""


class Cache:
    """Values on disk.

    Args:
        path: the file; made, with its folder, where it is not there.

    Raises:
        DataError: it cannot be read or written, or is something else; so do all methods.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{path.parent}: cannot be made: {error.strerror}") from None
        with self._opened():
            pass

    def of_waves(
        self, purpose: str, waves: Sequence[np.ndarray], rate: int, ask: Ask
    ) -> np.ndarray:
        """Return what a judge says of every wave, asking only about those that are new.

        Args:
            purpose: who judges, and everything that the answer depends on besides the waves.
            waves: each (T,).
            rate: of all of them [Hz].
            ask: the judge.

        Returns:
            (N, D).
        """
        keys = [key_of(wave, rate).encode() for wave in waves]
        known = {key: value for key, (_, value) in self._recall(purpose, keys).items()}
        new = {key: wave for key, wave in zip(keys, waves, strict=True) if key not in known}
        if new:
            made = dict(zip(new, ask(list(new.values()), rate), strict=True))
            self._keep(purpose, ((key, None, value) for key, value in made.items()))
            known |= made
        return np.stack([known[key] for key in keys])

    def of_files(self, purpose: str, states: Mapping[Path, str | None]) -> dict[Path, Any]:
        """Return what is known of those files whose `state_of` is what it was then."""
        keys = {_path_key(file): file for file in states}
        rows = self._recall(purpose, list(keys))
        return {
            keys[key]: value for key, (state, value) in rows.items() if state == states[keys[key]]
        }

    def keep_files(self, purpose: str, values: Mapping[Path, tuple[str, Any]]) -> None:
        """Keep what was found of files, each with the `state_of` it had before."""
        self._keep(
            purpose, ((_path_key(file), state, value) for file, (state, value) in values.items())
        )

    def _recall(
        self, purpose: str, keys: Sequence[bytes]
    ) -> dict[bytes, tuple[str | None, np.ndarray | Any]]:
        """Return states and values of those keys that are known."""
        today = _today()
        found, last_used_before = {}, []
        with self._opened() as base:
            for key in keys:
                row = base.execute(
                    "SELECT state, value, used FROM found WHERE key = ? AND purpose = ?",
                    (key, purpose),
                ).fetchone()
                if row is not None:
                    found[key] = row[0], _decode(row[1])
                    if row[2] < today:
                        last_used_before.append((today, key, purpose))
            if last_used_before:
                with _transaction(base):
                    base.executemany(
                        "UPDATE found SET used = ? WHERE key = ? AND purpose = ?", last_used_before
                    )
        return found

    def _keep(self, purpose: str, rows: Iterable[tuple[bytes, str | None, Any]]) -> None:
        today = _today()
        laid = [(purpose, key, state, _encode(value), today) for key, state, value in rows]
        with self._opened() as base, _transaction(base):
            base.executemany("INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?, ?)", laid)
            pages, free, size = (
                base.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            if (pages - free) * size > LIMIT:
                base.execute(
                    "DELETE FROM found WHERE rowid IN (SELECT rowid FROM found "
                    "ORDER BY used, rowid LIMIT (SELECT count(*) / 4 + 1 FROM found))"
                )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Open the file for a moment, so that a cache is at home in every process and thread."""
        try:
            # Not in WAL mode: network file systems lack the memory that its readers share. Their
            # locks must work, though, or processes on several machines need a folder each.
            with closing(
                sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
            ) as base:
                if not _is_current(base):
                    _begin_anew(base)
                yield base
        except (sqlite3.Error, ValueError, EOFError) as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary one
            remedy = _REMEDIES.get(code, "remove it, it only saves time")
            raise DataError(f"{self.path}: {error}; {remedy}") from None


def _is_current(base: sqlite3.Connection) -> bool:
    found = [
        base.execute(f"PRAGMA {one}").fetchone()[0] for one in ("application_id", "user_version")
    ]
    return found == [APPLICATION, VERSION]


def _begin_anew(base: sqlite3.Connection) -> None:
    """Make the table in a new file, or in place of another version's."""
    with _transaction(base):
        if _is_current(base):  # another process made it in the meantime
            return
        tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
        own = base.execute("PRAGMA application_id").fetchone()[0] == APPLICATION
        if not own and not tables <= {"found"}:  # the first version did not sign
            raise sqlite3.DatabaseError(f"holds {min(tables)}, so another program's")
        base.execute("DROP TABLE IF EXISTS found")
        base.execute(_SCHEMA)
        base.execute(f"PRAGMA application_id = {APPLICATION}")
        base.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def _transaction(base: sqlite3.Connection) -> Iterator[None]:
    """Write all or nothing; closing takes back what was not committed."""
    base.execute("BEGIN IMMEDIATE")
    yield
    base.execute("COMMIT")


def _encode(value: Any) -> bytes | str:
    if not isinstance(value, np.ndarray | np.generic):
        return json.dumps(value)
    file = io.BytesIO()
    np.save(file, value, allow_pickle=False)
    return file.getvalue()


def _decode(cell: bytes | str) -> Any:
    """Turn a cell back: text is JSON, bytes are an array.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(cell, str):
        return json.loads(cell)
    return np.load(io.BytesIO(cell), allow_pickle=False)


def _today() -> int:
    return int(time.time() // 86400)


def _path_key(file: Path) -> bytes:
    return os.fsencode(file.absolute())


def key_of(wave: np.ndarray, rate: int) -> str:
    """Tell a recording (T,) at a rate [Hz] from all others: 32 hex digits."""
    samples = np.ascontiguousarray(wave, dtype=np.float32)
    return hashlib.sha256(f"{rate} ".encode() + samples.tobytes()).hexdigest()[:32]


def state_of(file: Path) -> str | None:
    """Return what changes with a file's content; None where there is no such file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


_in_use: list[Cache] = []


@contextmanager
def use(path: Path) -> Iterator[None]:
    """Let `over` use a cache within.

    Raises:
        DataError: the cache cannot be used.
    """
    _in_use.append(Cache(path))
    try:
        yield
    finally:
        _in_use.pop()


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

    Raises:
        DataError: the cache cannot be used any more.
    """
    cache = _in_use[-1] if _in_use else None
    begin = told = time.monotonic()
    with threads(nj) as pool:
        for first in range(0, len(files), BATCH):
            batch = files[first : first + BATCH]
            states = {file: state_of(file) for file in batch} if cache is not None else {}
            known = cache.of_files(purpose, states) if cache is not None else {}
            left = [file for file in batch if file not in known]
            results = dict(zip(left, pool.map(partial(_attempt, work), left), strict=True))
            if cache is not None and left:
                cache.keep_files(
                    purpose,
                    {
                        file: (state, result)
                        for file, result in results.items()
                        if (state := states[file]) and not isinstance(result, AudioError)
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

"""Cache slow results on disk: measures of recordings and outputs of evaluation networks (judges).

Values, JSON or arrays, lie in one SQLite file. Their key is the purpose and what they describe: a
wave or a file. A cache only saves time: results are the same if it is deleted.

What is guaranteed:

- A wave's key is a hash of its rate and all of its samples, so a changed wave is a new key.
- A file's key is its path, and a value is valid while the file's size, its time of modification
  and its time of change [ns] are what they were before it was read. The kernel sets the last at
  every write, and nobody can set it back: an edit in place is noticed even at the same size and
  with its time of modification restored. It also moves with a new owner, mode or link; then the
  file is only read again. What is missed is a second write within the same tick of the file
  system's clock, some milliseconds.
- Failures are not cached.
- Processes may use one cache at once, and may be killed at any time.
- The file grows to `LIMIT`; the least recently used values are removed first.
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
"""Files that are processed between two writes: a killed run loses at most this many."""

LIMIT = 4 * 2**30
"""Size [bytes] above which the least recently used quarter of the values is removed."""

MEASURED = Path("data/.measured.sqlite")
"""The cache of what is known of recordings, common to all commands in a folder."""

APPLICATION = 0x76637463
"""SQLite's `application_id` of a cache, which tells it from other programs' files."""

VERSION = 1
"""Version of the table; what other versions wrote is discarded."""

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
        path: the file; created, with its folder, if it does not exist.

    Raises:
        DataError: it cannot be read or written, or is not a cache; all methods raise this too.
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
        """Return a judge's output for every wave; the judge runs only on waves that are not cached.

        Args:
            purpose: names the judge and everything that its output depends on besides the waves.
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

    def of_key(self, purpose: str, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return an array, made once.

        Args:
            purpose: names what makes it, and everything that it depends on besides the key.
            key: a hash of what it is made of.
            make: makes it; nothing is kept where this fails.
        """
        found = self._recall(purpose, [key.encode()])
        if found:
            return np.asarray(next(iter(found.values()))[1])
        made = make()
        self._keep(purpose, [(key.encode(), None, made)])
        return made

    def of_files(self, purpose: str, states: Mapping[Path, str | None]) -> dict[Path, Any]:
        """Return the cached values of the files whose `state_of` has not changed since."""
        keys = {_path_key(file): file for file in states}
        rows = self._recall(purpose, list(keys))
        return {
            keys[key]: value for key, (state, value) in rows.items() if state == states[keys[key]]
        }

    def keep_files(self, purpose: str, values: Mapping[Path, tuple[str, Any]]) -> None:
        """Store values of files, each with the `state_of` that the file had before it was read."""
        self._keep(
            purpose, ((_path_key(file), state, value) for file, (state, value) in values.items())
        )

    def _recall(
        self, purpose: str, keys: Sequence[bytes]
    ) -> dict[bytes, tuple[str | None, np.ndarray | Any]]:
        """Return states and values of the keys that are cached."""
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
        """Open the file for one operation, so that a cache works in every process and thread."""
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
    """Decode a stored value: text is JSON, bytes are an array.

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
    """Hash a recording (T,) and its rate [Hz]: 32 hex digits."""
    samples = np.ascontiguousarray(wave, dtype=np.float32)
    return hashlib.sha256(f"{rate} ".encode() + samples.tobytes()).hexdigest()[:32]


def state_of(file: Path) -> str | None:
    """Return a string that changes with the file's content; None if there is no such file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


_in_use: list[Cache] = []


@contextmanager
def use(path: Path) -> Iterator[None]:
    """Let `over` use a cache inside this context.

    Raises:
        DataError: the cache cannot be used.
    """
    _in_use.append(Cache(path))
    try:
        yield
    finally:
        _in_use.pop()


def once(purpose: str, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return an array that is made once in the cache in use, or made anew where none is.

    Args:
        purpose: as for `Cache.of_key`.
        key: a hash of what it is made of.
        make: makes it.
    """
    return _in_use[-1].of_key(purpose, key, make) if _in_use else make()


def over(
    files: Sequence[Path], work: Callable[[Path], Any], purpose: str, nj: int = 1
) -> Iterator[Any]:
    """Apply a function to files, or return its cached results, in order and in bounded memory.

    Args:
        files: the files.
        work: returns something that JSON can hold; a module's function or a `partial` of one,
            since the workers of a cluster may run it.
        purpose: names the function and its settings; must change when its results change.
        nj: number of threads.

    Yields:
        The result, or the `AudioError` that was raised, for each file.

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

"""Hashes of files on disk, which tell a stage whether its inputs have changed."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from vctool.checkpoints import MODEL, latest

HASH_PREFIX = "sha256:"
"""Marks a value as a content hash, which is compared but never shown."""

MISSING = "missing"
"""The value of an input that is not there yet."""

_taken: ContextVar[dict[tuple[str, Path], str] | None] = ContextVar("_taken", default=None)


@contextmanager
def taken_once() -> Iterator[None]:
    """Compute each hash at most once inside this context.

    A command needs the same hashes for every stage that it checks. Do not hash what a stage writes
    both before and after it runs inside one context.
    """
    if _taken.get() is not None:
        yield
        return
    token = _taken.set({})
    try:
        yield
    finally:
        _taken.reset(token)


def of_file(path: Path) -> str:
    """Hash the content of a file."""

    def take() -> str:
        with path.open("rb") as file:
            return HASH_PREFIX + hashlib.file_digest(file, "sha256").hexdigest()[:16]

    return _once("file", path, take)


def of_data(corpus: Path) -> str:
    """Hash the tables of all data dirs of a corpus, and the sizes of the recordings they name.

    Args:
        corpus: its folder, `data/<corpus>`.
    """
    return _once("data", corpus, lambda: _tables(corpus))


def of_checkpoint(experiment: Path) -> str:
    """Hash the weights that conversion with an experiment would load."""
    folder = latest(experiment / "checkpoints")
    return MISSING if folder is None else of_file(folder / MODEL)


def _once(what: str, path: Path, take: Callable[[], str]) -> str:
    known = _taken.get()
    if known is None:
        return take()
    if (what, path) not in known:
        known[what, path] = take()
    return known[what, path]


def _tables(corpus: Path) -> str:
    digest = hashlib.sha256()
    # Hidden folders hold the backups of `vctool data fix`; rejected.tsv is a report.
    tables = [
        path
        for split in ("train", "dev", "test")
        for path in sorted((corpus / split).glob("*"))
        if path.is_file() and path.name[0] != "." and path.name != "rejected.tsv"
    ]
    for path in tables:
        digest.update(str(path.relative_to(corpus)).encode() + b"\0")
        content = path.read_bytes()
        digest.update(content + b"\0")
        if path.name in ("wav.scp", "accomp.scp"):
            digest.update(repr(_sizes(path.parent, content.decode(errors="replace"))).encode())
    return HASH_PREFIX + digest.hexdigest()[:16] if tables else MISSING


def _sizes(folder: Path, table: str) -> list[int | None]:
    """Return the size of every file that a table names [bytes]; None if it does not exist."""
    values = (line.partition(" ")[2] for line in table.splitlines())
    files = (folder / name for value in values for name in value.split("\t"))
    return [file.stat().st_size if file.is_file() else None for file in files]

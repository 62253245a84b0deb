"""Hashes of files on disk, which tell a stage whether its inputs have changed.

Only content counts. Recordings are many and large, so their digests are kept in `cache.MEASURED`: a
file is read again only where its size or one of its times changed.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path

from vctool import cache
from vctool.checkpoints import MODEL, converting
from vctool.data import content
from vctool.errors import AudioError

HASH_PREFIX = "sha256:"
"""Marks a value as a content hash, which is compared but never shown."""

MISSING = "missing"
"""The value of an input that is not there yet."""

READERS = 4
"""Threads that read recordings."""

NAMING = ("wav.scp", "accomp.scp", "time_map.scp", "notes.scp")
"""The tables of a data dir that name files."""

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
    """Hash the tables of all data dirs of a corpus, and the recordings that they name.

    Args:
        corpus: its folder, `data/<corpus>`.
    """
    return _once("data", corpus, lambda: _tables(corpus))


def of_results(experiment: Path, files: Iterable[Path]) -> str:
    """Hash files that a stage has written below an experiment's folder."""
    found = of_files(sorted(files))
    if not found:
        return MISSING
    lines = (f"{file.relative_to(experiment)} {one}\n" for file, one in found.items())
    return HASH_PREFIX + hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def of_checkpoint(experiment: Path) -> str:
    """Hash the weights that conversion with an experiment would load."""
    folder = converting(experiment / "checkpoints")
    return MISSING if folder is None else of_file(folder / MODEL)


def of_model(path: Path) -> str:
    """Hash the weights of an experiment, or a pack."""
    return of_file(path) if path.is_file() else of_checkpoint(path)


def of_files(files: Iterable[Path]) -> dict[Path, str]:
    """Return a digest of the content of every file; why there is none, where it is unreadable."""
    wanted = list(dict.fromkeys(files))
    with _remembered():
        places = [file.absolute() for file in wanted]  # a cluster's workers may have another folder
        found = cache.over(places, _digest, content.PURPOSE, READERS)
        return {file: str(one) for file, one in zip(wanted, found, strict=True)}


def _digest(file: Path) -> str:
    try:
        return content.digest(file)
    except OSError as error:  # the stage that reads it says what to do about it
        raise AudioError(f"unreadable: {error.strerror}") from None


def _remembered() -> AbstractContextManager[None]:
    """Use the cache of recordings; where nothing can be written, every recording is read."""
    place = cache.MEASURED
    while not place.exists() and place.name:
        place = place.parent
    return cache.use(cache.MEASURED) if os.access(place, os.W_OK) else nullcontext()


def _once(what: str, path: Path, take: Callable[[], str]) -> str:
    known = _taken.get()
    if known is None:
        return take()
    if (what, path) not in known:
        known[what, path] = take()
    return known[what, path]


def _tables(corpus: Path) -> str:
    # Hidden folders hold the backups of `vctool data fix`; rejected.tsv is a report.
    found = [
        path
        for split in ("train", "dev", "test")
        for path in sorted((corpus / split).glob("*"))
        if path.is_file() and path.name[0] != "." and path.name != "rejected.tsv"
    ]
    named = [file for path in found if path.name in NAMING for file in _named(path)]
    if not found:
        return MISSING
    known = of_files([*found, *named])
    digest = hashlib.sha256()
    for path in found:
        digest.update(f"{path.relative_to(corpus)} {known[path]}\n".encode())
    for file in named:  # their places are in the tables
        digest.update(f"{known[file]}\n".encode())
    return HASH_PREFIX + digest.hexdigest()[:16]


def _named(table: Path) -> Iterator[Path]:
    """Yield the files that a table names."""
    for line in table.read_text("utf-8", errors="replace").splitlines():
        for name in line.partition(" ")[2].split("\t"):
            yield table.parent / name

"""Features on disk: Kaldi `feats.scp` and ark shards, with the settings that made them.

A store is a folder:

    config.json       kind, settings and a digest of what the features were made from
    feats-000.ark     shards of `SHARD` utterances, binary float32 matrices, in bytewise order
    utt2crc32         digest of every utterance's bytes in its shard; grows with the shards
    utt2num_frames    frames of every utterance
    feats.scp         written last, so a store without it is not finished; paths are relative

and `<folder>.lock` beside it, which a writer holds. A writer that was killed continues where it
stopped: shards name and size their own entries, so whole ones are kept and a torn last one is cut
off. What is damaged of a finished store is written again in its place, and an index that does not
name what the shards hold is made anew from them.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Self, TextIO

import numpy as np

from vctool import locks
from vctool.data.arks import REMEDY, Entry, digest, encode, entry_at, entry_in
from vctool.data.atomic import write_text
from vctool.data.stock import DIGESTS, INDEX, SHARDS, read_digests, read_index, take_stock
from vctool.errors import DataError

__all__ = ["SHARD", "Entry", "FeatureStore", "StoreWriter", "clear", "problem"]

SHARD = 256
"""Utterances in one ark shard."""

logger = logging.getLogger(__name__)


class FeatureStore(Mapping[str, np.ndarray]):
    """A finished store: utterance id to (F, D) float32, read from disk at every access.

    Args:
        path: the store's folder.
        settings: what its `config.json` must hold under `settings`; not checked where None.

    Raises:
        DataError: missing, unfinished, of other settings, or an entry that is not a plain
            relative path to a shard (command pipes are refused unseen).
    """

    def __init__(self, path: Path, settings: Mapping[str, object] | None = None) -> None:
        self.path = path
        if not (path / INDEX).is_file():
            state = "is not finished" if path.is_dir() else "does not exist"
            raise DataError(f"{path}: this feature dump {state}; run stage 2 (features)")
        self.config = _read_config(path)
        if settings is not None and self.config.get("settings") != dict(settings):
            raise DataError(f"{path}: was made with other settings; run stage 2 (features)")
        self._entries = {entry.name: entry for entry in _read_entries(path)}

    @property
    def kind(self) -> str:
        """Kind of the features, such as `mel` or `accomp_mel` (`features.kinds`)."""
        return str(self.config["kind"])

    @property
    def source(self) -> str:
        """Digest of what the features were made from, as their writer gave it."""
        return str(self.config.get("source", ""))

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """Digest of the features of every utterance; none in older stores."""
        return read_digests(self.path) or {}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._entries[name].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def entry(self, name: str) -> Entry:
        """Return where an utterance's features lie, for processes that open no store."""
        return self._entries[name]

    def frames(self, name: str) -> int:
        """Return the number of frames of an utterance without reading it."""
        return self._entries[name].frames


class StoreWriter:
    """Write a store utterance by utterance; safe to kill at any moment.

    What an earlier writer with the same kind, settings and source left is kept and listed in
    `done`, as far as it is undamaged; anything else in the folder is removed first. The bytes
    depend only on the order in which utterances are written, so write them sorted. A second
    process that wants to write waits until the first has finished, and finds what it has done.

    Args:
        path: the store's folder.
        kind: kind of the features.
        settings: the settings that decide their content.
        source: a digest of what they are made from; another one starts the store over.

    Use as a context manager: leaving it without an error finishes the store. Stores that are
    written together must be entered in the order of their paths, lest two processes wait for each
    other.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        settings: Mapping[str, object],
        source: str = "",
    ) -> None:
        self.path = path
        self.done: dict[str, Entry] = {}
        config = {"kind": kind, "settings": dict(settings), "source": source}
        self._config = json.dumps(config, indent=2, sort_keys=True) + "\n"
        self._digests: dict[str, str] = {}
        self._journal: TextIO | None = None
        self._ark: BinaryIO | None = None
        self._changed = False
        self._count = 0  # utterances in the shards, those included whose place is kept
        self._mending: dict[Path, list[str]] = {}  # shards to write again, with their utterances
        self._damaged: dict[str, Path] = {}  # utterances whose place is in one of these
        self._mended: dict[str, bytes] = {}  # their new entries, of one shard at a time

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(_alone(self.path))
            current = self.path / "config.json"
            if not current.is_file() or current.read_text(encoding="utf-8") != self._config:
                if self.path.exists():
                    _empty(self.path)
                write_text(current, self._config)
            self._take_over()
            self._stack = stack.pop_all()
        return self

    def _take_over(self) -> None:
        """Keep valid entries, and find those that must be written again."""
        stock = take_stock(self.path)
        self.done = {name: found.entry for name, found in stock.sound.items()}
        self._digests = {name: found.digest for name, found in stock.sound.items()}
        self._changed = not (stock.indexed and stock.protected)
        if stock.untidy:
            logger.warning("%s: %s; written again", self.path, stock.problem())
            self._mending = {shard: stock.order[shard] for shard in stock.untidy}
            self._damaged = {
                name: shard
                for shard, names in self._mending.items()
                for name in names
                if name not in self.done
            }
            self._changed = True
        elif not stock.indexed:
            (self.path / INDEX).unlink(missing_ok=True)
            self._cut()
        self._count = len(self.done) + len(self._damaged)

    def _cut(self) -> None:
        """Remove what is behind the last sound entry."""
        ends: dict[Path, int] = {}
        for entry in self.done.values():
            ends[entry.ark] = max(ends.get(entry.ark, 0), entry.stop)
        for shard in self.path.glob(SHARDS):
            if shard not in ends:
                shard.unlink()
            elif ends[shard] < shard.stat().st_size:
                os.truncate(shard, ends[shard])
        self._write_table(DIGESTS, self._digests, durable=False)

    def write(self, name: str, features: np.ndarray) -> None:
        """Append one utterance's (F, D) features and hand them to the operating system.

        Raises:
            DataError: the features hold NaN or infinity.
        """
        assert features.ndim == 2 and len(features), (name, features.shape)
        assert name not in self.done and not any(c.isspace() for c in name), name
        if not np.isfinite(features).all():
            raise DataError(f"{name}: features hold NaN or infinity")
        content = encode(name, features)
        if name in self._damaged:
            self._mend(name, content)
            return
        if self._journal is None:
            # An unfinished store must not be taken for a finished one.
            (self.path / INDEX).unlink(missing_ok=True)
            self._changed = True
            if not (self.path / DIGESTS).is_file():
                self._write_table(DIGESTS, self._digests, durable=False)
            self._journal = (self.path / DIGESTS).open("a", encoding="utf-8")
        shard = self.path / f"feats-{self._count // SHARD:03d}.ark"
        if self._ark is None or Path(self._ark.name) != shard:
            self._close()
            self._ark = shard.open("ab")
        self._keep(name, shard, self._ark.tell(), content)
        self._ark.write(content)
        self._ark.flush()
        self._journal.write(f"{name} {self._digests[name]}\n")
        self._journal.flush()
        self._count += 1

    def _mend(self, name: str, content: bytes) -> None:
        """Take the new entry of a damaged utterance; its shard is written when it is complete."""
        shard = self._damaged[name]
        for other in {self._damaged[one] for one in self._mended} - {shard}:
            self._write_shard(other)  # so that no more than a shard is held in memory
        self._mended[name] = content
        if all(one in self.done or one in self._mended for one in self._mending[shard]):
            self._write_shard(shard)

    def _write_shard(self, shard: Path) -> None:
        """Write a damaged shard again, as far as its entries are there."""
        names = [one for one in self._mending[shard] if one in self.done or one in self._mended]
        if not names:
            shard.unlink(missing_ok=True)
            return
        beside = shard.with_name(f".{shard.name}.tmp")
        with ExitStack() as stack:
            new = stack.enter_context(beside.open("wb"))
            old = stack.enter_context(shard.open("rb")) if shard.is_file() else None
            for name in names:
                content = self._mended.pop(name, b"")
                if not content:
                    assert old is not None, f"{shard}: '{name}' was sound and is gone"
                    old.seek(self.done[name].start)
                    content = old.read(self.done[name].stop - self.done[name].start)
                self._keep(name, shard, new.tell(), content)
                new.write(content)
            new.flush()
            os.fsync(new.fileno())
        os.replace(beside, shard)
        if len(names) == len(self._mending[shard]):
            del self._mending[shard]

    def _keep(self, name: str, shard: Path, place: int, content: bytes) -> None:
        """Note an entry that begins at a place in a shard."""
        entry = entry_in(content, name, shard, place)
        self.done[name] = entry
        self._digests[name] = digest(content)

    def _finish(self) -> None:
        """Write the index, which makes the store readable."""
        for shard in sorted(self._mending):  # what could not be computed again is left out
            self._write_shard(shard)
        self._close()
        if self._changed:
            frames = {name: str(entry.frames) for name, entry in self.done.items()}
            places = {name: f"{one.ark.name}:{one.offset}" for name, one in self.done.items()}
            self._write_table(DIGESTS, self._digests)
            self._write_table("utt2num_frames", frames)
            self._write_table(INDEX, places)

    def _write_table(self, name: str, rows: Mapping[str, str], *, durable: bool = True) -> None:
        lines = (f"{one} {rows[one]}\n" for one in sorted(rows, key=str.encode))
        write_text(self.path / name, "".join(lines), durable=durable)

    def _close(self) -> None:
        """Close the shard that is being written; it is on the disk then."""
        if self._ark is not None:
            os.fsync(self._ark.fileno())
            self._ark.close()
            self._ark = None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with self._stack:
            if kind is None:
                self._finish()
            self._close()
            if self._journal is not None:
                self._journal.close()


def clear(path: Path) -> None:
    """Remove what is in a store's folder, where there is one, so that it is made anew.

    Raises:
        DataError: it is not a store.
    """
    if path.exists():
        with _alone(path):
            _empty(path)


def problem(path: Path) -> str:
    """Read through a finished store, and describe briefly what is wrong with it, if anything.

    Args:
        path: its folder; a store that is not finished is none that could be damaged.
    """
    if not (path / INDEX).is_file():
        return ""
    try:
        _read_config(path)
    except DataError as error:
        return str(error)
    return take_stock(path).problem()


def _alone(path: Path) -> AbstractContextManager[None]:
    """Keep other processes from writing a store."""
    lock = path.with_name(f"{path.name}.lock")
    return locks.wait(lock, f"{path}: waiting for {{}}, which is writing it")


def _read_config(path: Path) -> dict[str, object]:
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path / 'config.json'}: not readable: {error}; {REMEDY}") from None
    if not isinstance(config, dict) or "kind" not in config:
        raise DataError(f"{path / 'config.json'}: names no kind of features; {REMEDY}")
    return config


def _read_entries(path: Path) -> Iterator[Entry]:
    """Yield the entries that the index names, each checked against the header in its shard."""
    arks: dict[Path, BinaryIO] = {}
    with ExitStack() as stack:
        for place in read_index(path):
            where = f"{path / INDEX}:{place.line}"
            if place.ark not in arks:
                if not place.ark.is_file():
                    raise _damage(path, f"{where}: {place.ark.name} is missing")
                arks[place.ark] = stack.enter_context(place.ark.open("rb"))
            entry = entry_at(arks[place.ark], place.ark, place.name, place.offset)
            if entry is None:
                value = f"{place.ark.name}:{place.offset}"
                raise _damage(path, f"{where}: no float matrix at {value}")
            yield entry


def _damage(path: Path, what: str) -> DataError:
    """Say what was found, and all else that is damaged in a store."""
    return DataError(f"{what} ({take_stock(path).problem()}); {REMEDY}")


def _empty(path: Path) -> None:
    """Remove an outdated store's files, after checking that there are no others."""
    entries = list(path.iterdir())
    foreign = [entry.name for entry in entries if not _ours(entry.name)]
    if foreign:
        raise DataError(f"{path}: holds '{foreign[0]}', which no feature dump has; move it away")
    for entry in entries:
        entry.unlink()


def _ours(name: str) -> bool:
    plain = {"config.json", INDEX, DIGESTS, "utt2num_frames", "stats.json"}
    torn = name.startswith(".") and name.endswith(".tmp")
    return torn or name in plain or (name.startswith("feats-") and name.endswith(".ark"))

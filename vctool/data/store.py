"""Features on disk: Kaldi `feats.scp` and ark shards, with the settings that made them.

A store is a folder:

    config.json       kind, settings and a digest of what the features were made from
    feats-000.ark     shards of `SHARD` utterances, binary float32 matrices, in bytewise order
    feats.scp         written last, so a store without it is not finished; paths are relative
    utt2num_frames    frames of every utterance

A writer that was killed continues where it stopped: shards name and size their own entries, so
whole ones are kept and a torn last one is cut off.
"""

import json
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import kaldiio
import numpy as np

from vctool.data.atomic import write_text
from vctool.errors import DataError

SHARD = 256
"""Utterances in one ark shard."""

_HEADER = struct.Struct("<2s3sBiBi")
"""Kaldi's binary float matrix: zero byte and B, `FM `, then 4-byte rows and 4-byte columns."""


class Entry(NamedTuple):
    """Where the features of one utterance lie: enough to read them in any process."""

    name: str
    """The utterance."""
    ark: Path
    """The shard."""
    offset: int
    """Place of the matrix in the shard [bytes]."""
    frames: int
    """Rows of the matrix."""
    columns: int
    """Columns of the matrix."""

    def read(self) -> np.ndarray:
        """Return the features, (F, D) float32.

        Raises:
            DataError: the shard is gone, or ends before they do.
        """
        count = self.frames * self.columns
        try:
            with self.ark.open("rb") as ark:
                ark.seek(self.offset + _HEADER.size)
                data = np.fromfile(ark, dtype="<f4", count=count)
        except FileNotFoundError:
            raise DataError(f"{self.ark}: is gone; rerun stage 2 fresh") from None
        if len(data) != count:
            raise DataError(f"{self.ark}: ends inside '{self.name}'; rerun stage 2 fresh")
        return data.reshape(self.frames, self.columns)

    def absolute(self) -> "Entry":
        """Return it for a process that works in another folder."""
        return self._replace(ark=self.ark.absolute())


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
        if not (path / "feats.scp").is_file():
            state = "is not finished" if path.is_dir() else "does not exist"
            raise DataError(f"{path}: this feature dump {state}; run stage 2 (features)")
        self.config = _read_config(path)
        if settings is not None and self.config.get("settings") != dict(settings):
            raise DataError(f"{path}: was made with other settings; run stage 2 (features)")
        self._entries = dict(_read_scp(path))

    @property
    def kind(self) -> str:
        """Kind of the features, such as `mel` or `accomp_mel` (`features.kinds`)."""
        return str(self.config["kind"])

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
    `done`; anything else in the folder is removed first. The bytes depend only on the order in
    which utterances are written, so write them sorted.

    Args:
        path: the store's folder.
        kind: kind of the features.
        settings: the settings that decide their content.
        source: a digest of what they are made from; another one starts the store over.

    Use as a context manager: leaving it without an error finishes the store.
    """

    def __init__(
        self, path: Path, kind: str, settings: Mapping[str, object], source: str = ""
    ) -> None:
        self.path = path
        config = {"kind": kind, "settings": dict(settings), "source": source}
        text = json.dumps(config, indent=2, sort_keys=True) + "\n"
        current = path / "config.json"
        if not current.is_file() or current.read_text(encoding="utf-8") != text:
            if path.exists():
                _remove_store(path)
            path.mkdir(parents=True, exist_ok=True)
            write_text(current, text)
        self.done: dict[str, Entry] = {}
        self._changed = not (path / "feats.scp").is_file()
        self._ark: BinaryIO | None = None
        for shard in sorted(path.glob("feats-*.ark")):
            self.done.update(_recover(shard))

    def write(self, name: str, features: np.ndarray) -> None:
        """Append one utterance's (F, D) features and hand them to the operating system.

        Raises:
            DataError: the features hold NaN or infinity.
        """
        assert features.ndim == 2 and len(features), (name, features.shape)
        assert name not in self.done and not any(c.isspace() for c in name), name
        if not np.isfinite(features).all():
            raise DataError(f"{name}: features hold NaN or infinity")
        if not self._changed:
            # An unfinished store must not be taken for a finished one.
            (self.path / "feats.scp").unlink()
            self._changed = True
        shard = f"feats-{len(self.done) // SHARD:03d}.ark"
        if self._ark is None or Path(self._ark.name).name != shard:
            self._close()
            self._ark = (self.path / shard).open("ab")
        offset = self._ark.tell() + len(name.encode()) + 1
        kaldiio.save_ark(self._ark, {name: np.ascontiguousarray(features, dtype=np.float32)})
        self._ark.flush()
        self.done[name] = Entry(name, self.path / shard, offset, *features.shape)

    def finish(self) -> FeatureStore:
        """Write the index, which makes the store readable, and open it."""
        self._close()
        if self._changed:
            names = sorted(self.done, key=str.encode)
            frames = "".join(f"{name} {self.done[name].frames}\n" for name in names)
            write_text(self.path / "utt2num_frames", frames)
            entries = ((name, self.done[name]) for name in names)
            lines = "".join(f"{name} {entry.ark.name}:{entry.offset}\n" for name, entry in entries)
            write_text(self.path / "feats.scp", lines)
            self._changed = False
        return FeatureStore(self.path)

    def _close(self) -> None:
        if self._ark is not None:
            self._ark.close()
            self._ark = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.finish()
        else:
            self._close()


def _read_config(path: Path) -> dict[str, object]:
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path / 'config.json'}: not readable: {error}; rerun stage 2") from None
    if not isinstance(config, dict) or "kind" not in config:
        raise DataError(f"{path / 'config.json'}: names no kind of features; rerun stage 2")
    return config


def _read_scp(path: Path) -> Iterator[tuple[str, Entry]]:
    """Yield the entries of `feats.scp`, each checked against the header in its shard."""
    scp = path / "feats.scp"
    arks: dict[str, BinaryIO] = {}
    try:
        for number, line in enumerate(scp.read_text(encoding="utf-8").splitlines(), 1):
            name, _, value = line.strip().partition(" ")
            ark, _, offset = value.strip().rpartition(":")
            if "|" in value:
                raise DataError(f"{scp}:{number}: command pipes are refused: {value}")
            if not ark or not offset.isdigit() or Path(ark).name != ark:
                raise DataError(f"{scp}:{number}: expected `id shard.ark:offset`, found: {line}")
            if ark not in arks:
                if not (path / ark).is_file():
                    raise DataError(f"{scp}:{number}: {ark} is missing; rerun stage 2 fresh")
                arks[ark] = (path / ark).open("rb")
            arks[ark].seek(int(offset))
            shape = _shape(arks[ark].read(_HEADER.size))
            if shape is None:
                raise DataError(f"{scp}:{number}: no float matrix at {value}; rerun stage 2 fresh")
            yield name, Entry(name, path / ark, int(offset), *shape)
    finally:
        for ark_file in arks.values():
            ark_file.close()


def _shape(header: bytes) -> tuple[int, int] | None:
    """Return rows and columns that a matrix header states, or None where it is not one."""
    if len(header) < _HEADER.size:
        return None
    zero, tag, row_size, rows, column_size, columns = _HEADER.unpack(header)
    plain = (zero, tag, row_size, column_size) == (b"\0B", b"FM ", 4, 4)
    return (rows, columns) if plain and rows > 0 and columns > 0 else None


def _recover(shard: Path) -> dict[str, Entry]:
    """List the whole entries of a shard and cut off a torn last one."""
    found: dict[str, Entry] = {}
    size, end = shard.stat().st_size, 0
    with shard.open("r+b") as ark:
        while end < size:
            ark.seek(end)
            # Ids are short: a name that does not end in this many bytes is torn.
            name, space, _ = ark.read(4096).partition(b" ")
            offset = end + len(name) + 1
            ark.seek(offset)
            shape = _shape(ark.read(_HEADER.size)) if space else None
            if shape is None or offset + _HEADER.size + 4 * shape[0] * shape[1] > size:
                ark.truncate(end)
                break
            found[name.decode()] = Entry(name.decode(), shard, offset, *shape)
            end = offset + _HEADER.size + 4 * shape[0] * shape[1]
    return found


def _remove_store(path: Path) -> None:
    """Remove an outdated store, after checking that the folder is one."""
    foreign = [entry.name for entry in path.iterdir() if not _ours(entry.name)]
    if foreign:
        raise DataError(f"{path}: holds '{foreign[0]}', which no feature dump has; move it away")
    shutil.rmtree(path)


def _ours(name: str) -> bool:
    plain = {"config.json", "feats.scp", "utt2num_frames", "stats.json"}
    torn = name.startswith(".") and name.endswith(".tmp")
    return torn or name in plain or (name.startswith("feats-") and name.endswith(".ark"))

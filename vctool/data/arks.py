"""Ark shards: Kaldi's binary float matrices one after the other, each behind its utterance's id."""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import kaldiio
import numpy as np

from vctool.errors import DataError

REMEDY = "run the stage that wrote it (2 for dump/, 4 for infer/), which computes it again"
"""What to do about features that cannot be read."""

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

    @property
    def start(self) -> int:
        """Place of the utterance's id in the shard [bytes]."""
        return start(self.name, self.offset)

    @property
    def stop(self) -> int:
        """Place in the shard where the next entry begins [bytes]."""
        return self.offset + _HEADER.size + 4 * self.frames * self.columns

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
            raise DataError(f"{self.ark}: is gone; {REMEDY}") from None
        if len(data) != count:
            raise DataError(f"{self.ark}: ends inside '{self.name}'; {REMEDY}")
        return data.reshape(self.frames, self.columns)

    def absolute(self) -> "Entry":
        """Return it for a process that works in another folder."""
        return self._replace(ark=self.ark.absolute())


class Found(NamedTuple):
    """An entry as it was found in a shard."""

    entry: Entry
    digest: str
    """CRC-32 of all its bytes, id and header with them, in hex digits."""


def encode(name: str, features: np.ndarray) -> bytes:
    """Lay out one utterance's features, (F, D), as an entry of a shard."""
    buffer = io.BytesIO()
    kaldiio.save_ark(buffer, {name: np.ascontiguousarray(features, dtype=np.float32)})
    return buffer.getvalue()


def start(name: str, offset: int) -> int:
    """Return where an entry begins whose matrix begins at an offset [bytes]."""
    return offset - len(name.encode()) - 1


def digest(content: bytes) -> str:
    """Hash the bytes of an entry: a CRC-32 in hex digits, quick, and enough against damage."""
    return f"{zlib.crc32(content):08x}"


def entry_in(content: bytes, name: str, shard: Path, place: int) -> Entry:
    """Return the entry that some bytes are at a place in a shard; see `encode`."""
    skipped = len(name.encode()) + 1
    shape = _shape(content[skipped : skipped + _HEADER.size])
    assert shape is not None, name
    return Entry(name, shard, place + skipped, *shape)


def entry_at(ark: BinaryIO, shard: Path, name: str, offset: int) -> Entry | None:
    """Return the entry whose matrix begins at an offset; None where no header is there."""
    ark.seek(offset)
    shape = _shape(ark.read(_HEADER.size))
    return None if shape is None else Entry(name, shard, offset, *shape)


def found_at(ark: BinaryIO, shard: Path, name: str, offset: int) -> Found | None:
    """Return the entry of an utterance whose matrix begins at an offset, with its digest.

    Returns:
        None where the id or the header is not there, or the shard ends before the entry does.
    """
    entry = entry_at(ark, shard, name, offset)
    if entry is None or entry.start < 0 or entry.stop > os.fstat(ark.fileno()).st_size:
        return None
    ark.seek(entry.start)
    content = ark.read(entry.stop - entry.start)
    return Found(entry, digest(content)) if content.startswith(name.encode() + b" ") else None


def walk(shard: Path) -> Iterator[Found]:
    """Yield the entries of a shard in their order, up to one that is torn."""
    with shard.open("rb") as ark:
        place = 0
        while True:
            ark.seek(place)
            # Ids are short: a name that does not end in this many bytes is torn.
            name, space, _ = ark.read(4096).partition(b" ")
            try:
                text = name.decode()
            except UnicodeDecodeError:
                return
            found = found_at(ark, shard, text, place + len(name) + 1) if space else None
            if found is None:
                return
            yield found
            place = found.entry.stop


def _shape(header: bytes) -> tuple[int, int] | None:
    """Return rows and columns that a matrix header states, or None where it is not one."""
    if len(header) < _HEADER.size:
        return None
    zero, tag, row_size, rows, column_size, columns = _HEADER.unpack(header)
    plain = (zero, tag, row_size, column_size) == (b"\0B", b"FM ", 4, 4)
    return (rows, columns) if plain and rows > 0 and columns > 0 else None

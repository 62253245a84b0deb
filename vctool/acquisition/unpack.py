"""Unpack untrusted zip and tar archives.

Members are written one by one into a folder beside the others and moved to their places at the
end, so that a killed unpack leaves nothing that looks complete. No link is ever made: one to a file
of the same archive becomes that file, and with no link on the way no member can be written outside.
"""

import bz2
import gzip
import io
import json
import logging
import lzma
import os
import posixpath
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Protocol

from vctool.acquisition.archive import human
from vctool.data.atomic import commit_text
from vctool.errors import DataError

STAMPS = ".complete"
"""Folder of the records of what has been unpacked, one per archive."""

MOST_MEMBERS = 3_000_000
"""More members than any known corpus has; empty files use up a disk as well."""

_CHUNK = 1 << 20
_LONGEST_HEADER = 1 << 24
_LINK_HOPS = 40
_DRIVE = re.compile(r"[A-Za-z]:")
_MAGIC = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Member:
    """An entry of an archive, of either kind."""

    name: str
    """As the archive spells it."""
    kind: Literal["file", "folder", "link"]
    target: str
    """What a link points to, from the archive's top."""
    open: Callable[[], IO[bytes] | None]


class _Hostile(Exception):
    """A member that is refused."""


def stamp_of(file: str, folder: Path) -> Path:
    """Return the record that an archive of this file name has been unpacked into a folder."""
    return folder / STAMPS / f"{file}.unpacked"


def unpack(path: Path, folder: Path, bound_bytes: int) -> Path:
    """Unpack an archive into a folder, unless that has been done.

    Args:
        path: a zip, or a tar packed by gzip, bzip2, xz or not at all. It may be gone where it has
            been unpacked already.
        folder: gets the members, beside what is there.
        bound_bytes: the most that the members may hold together [bytes].

    Returns:
        The folder.

    Raises:
        DataError: a member is hostile (leaves the folder, points out of it, is no file, or is more
            than the bound), or the archive is cut short or damaged; nothing is unpacked then.
    """
    stamp = stamp_of(path.name, folder)
    if stamp.exists():
        return folder
    staging = folder / f".unpacking-{path.name}"
    logger.info("unpacking %s (%s)", path.name, human(path.stat().st_size))
    try:
        shutil.rmtree(staging, ignore_errors=True)  # of an unpack that was killed
        staging.mkdir(parents=True)
        written, count = _write(path, staging, bound_bytes)
        _merge(staging, folder)
        note = {"archive": path.name, "files": count, "unpacked_bytes": written}
        commit_text(stamp, json.dumps(note, indent=1) + "\n")
    except _Hostile as error:
        raise DataError(f"{path}: refused, {error}; nothing was unpacked") from None
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError) as error:
        raise DataError(f"{path}: is damaged ({error}); delete it to fetch it again") from None
    except NotImplementedError as error:
        raise DataError(
            f"{path}: {error}; unpack it with another program and pass --downloads DIR"
        ) from None
    except OSError as error:
        # the decompressors report damage as OSError without a number
        if error.errno is None:
            raise DataError(f"{path}: is damaged ({error}); delete it to fetch it again") from None
        place = error.filename or folder
        raise DataError(f"{place}: cannot be unpacked: {error.strerror}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def _write(path: Path, staging: Path, bound: int) -> tuple[int, int]:
    """Write all members; return how many bytes and files that were."""
    written = count = entries = 0
    links: dict[PurePosixPath, PurePosixPath] = {}
    for member in _members(path, bound):
        entries += 1
        if entries > MOST_MEMBERS:
            raise _Hostile(f"it has more than {MOST_MEMBERS} members")
        inside = _place(member.name, member.name)
        if inside is None:
            continue
        place = staging / inside
        if member.kind == "folder":
            place.mkdir(parents=True, exist_ok=True)
            continue
        count += 1
        if member.kind == "link":
            target = _place(member.target, f"{member.name} -> {member.target}")
            links[inside] = target or PurePosixPath(member.target)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        source = member.open()
        assert source is not None, member.name
        with source, place.open("wb") as out:
            while chunk := source.read(_CHUNK):
                written += len(chunk)
                if written > bound:  # whatever the archive states
                    raise _Hostile(f"it grows past {human(bound)} at '{member.name}'")
                out.write(chunk)
    _resolve(links, staging)
    return written, count


def _resolve(links: dict[PurePosixPath, PurePosixPath], staging: Path) -> None:
    """Put in the place of every link the file that it points to, as a second name of it."""
    for link, target in links.items():
        for _ in range(_LINK_HOPS):
            target = links.get(target, target)
        if target in links or not (staging / target).is_file():
            raise _Hostile(f"'{link}' is a link to '{target}', which is no file in it")
        place = staging / link
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        os.link(staging / target, place)


def _place(name: str, shown: str) -> PurePosixPath | None:
    """Return where a member goes below the folder, or None for nothing to write."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if "\0" in name or not name:
        raise _Hostile(f"{shown!a} is no file name")
    if not parts:
        return None  # the folder itself, "./"
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        raise _Hostile(f"'{shown}' is an absolute path")
    if ".." in parts:
        raise _Hostile(f"'{shown}' leads out of the folder")
    if parts[0] == STAMPS or parts[0].startswith(".unpacking-"):
        raise _Hostile(f"'{shown}' would be taken for a record of this program")
    # what macOS adds to a zip: a shadow of every file, under the same ending
    return None if parts[0] == "__MACOSX" else PurePosixPath(*parts)


def _merge(staging: Path, folder: Path) -> None:
    """Move a tree's files to their places, beside what other archives have put there."""
    for entry in sorted(staging.iterdir()):
        place = folder / entry.name
        if entry.is_dir() and place.is_dir():
            _merge(entry, place)
        else:
            os.replace(entry, place)


def _members(path: Path, bound: int) -> Iterator[_Member]:
    """Go through an archive's members; each must be read before the next is asked for."""
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(0)
        if path.name.lower().endswith(".zip"):
            yield from _zip_members(file)
            return
        kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
        yield from _tar_members(_Forward(_plain(file, kind), bound))


def _plain(file: IO[bytes], kind: str | None) -> "_Readable":
    """Put the decompressor before a file that it needs, or none."""
    if kind == "gz":
        return gzip.GzipFile(fileobj=file)
    if kind == "bz2":
        return bz2.BZ2File(file)
    return file if kind is None else lzma.LZMAFile(file)


def _zip_members(file: IO[bytes]) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            kind: Literal["file", "folder", "link"] = "folder" if info.is_dir() else "file"
            target = ""
            if info.flag_bits & 1:
                raise NotImplementedError(f"'{info.filename}' is encrypted")
            if stat.S_ISLNK(mode):
                if info.file_size > 4096:
                    raise _Hostile(f"'{info.filename}' is a link to a name of undue length")
                kind = "link"
                target = _beside(info.filename, archive.read(info).decode("utf-8", "replace"))
            elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _Hostile(f"'{info.filename}' is a device or another special file")

            def read(info: zipfile.ZipInfo = info) -> IO[bytes]:
                return archive.open(info)

            yield _Member(info.filename, kind, target, read)


def _tar_members(file: "_Forward") -> Iterator[_Member]:
    # "r:": no transparent decompression, no seeking back; see _Forward
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (info := archive.next()) is not None:
            kind: Literal["file", "folder", "link"]
            kind = "folder" if info.isdir() else "file"
            target = ""
            if info.issym() or info.islnk():
                kind = "link"
                target = _beside(info.name, info.linkname) if info.issym() else info.linkname
            elif not info.isdir() and not info.isreg():
                raise _Hostile(f"'{info.name}' is a device or another special file")

            def read(info: tarfile.TarInfo = info) -> IO[bytes] | None:
                return archive.extractfile(info)

            yield _Member(info.name, kind, target, read)
            # kept for going back: a gigabyte for a million files
            archive.members.clear()  # type: ignore[attr-defined]
    # tarfile takes a damaged or missing header for the end
    if file.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it ends before its end mark")
    while file.read(_CHUNK):
        pass  # the decompressor's own checksum comes last


def _beside(link: str, target: str) -> str:
    """Return what a symbolic link points to from the archive's top; `..` stays where it leaves."""
    if target.startswith(("/", "\\")):
        return target
    return posixpath.normpath(posixpath.join(posixpath.dirname(link), target))


class _Readable(Protocol):
    """An object with a `read` method."""

    def read(self, size: int, /) -> bytes: ...


class _Forward(io.RawIOBase):
    """A stream that is only read onward, and no further than a bound.

    The bound is on everything that comes out of the decompressor, headers too; and no single
    header may be so long that reading it takes the memory.
    """

    def __init__(self, file: _Readable, bound: int) -> None:
        self._file = file
        # headers and padding take 1 kB a file and more: bounded by the number of members
        self._left = bound + 4 * tarfile.BLOCKSIZE * MOST_MEMBERS
        self._position = 0
        self.last = b""
        """What the last read returned."""

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        if not 0 <= size <= _LONGEST_HEADER:
            raise _Hostile(f"it asks for {human(size)} of memory")
        self._left -= size
        if self._left < 0:
            raise _Hostile("it grows past its bound in what is no file")
        self.last = self._file.read(size)
        self._position += len(self.last)
        return self.last

    def tell(self) -> int:
        """Return the number of bytes read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Skip to a later position."""
        if whence != io.SEEK_SET or offset < self._position:
            raise tarfile.ReadError("its headers lead backward")
        while self._position < offset and self.read(min(_CHUNK, offset - self._position)):
            pass
        return self._position

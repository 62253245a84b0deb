"""Downloadable files of a corpus, with sizes and checksums, and subsets of them.

Every number is the publisher's, or a well-kept library's, and says where it was taken from. What
nobody states is None: an invented checksum is worse than none.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

PACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""Endings of files that are unpacked; any other file is taken as it is."""

_CHECKSUM = re.compile(
    r"md5:[0-9a-f]{32}|sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"
)


@dataclass(frozen=True)
class Archive:
    """One file that is fetched, and unpacked where it is packed.

    Raises:
        ValueError: the checksum or the name is malformed, a programmer's mistake.
    """

    url: str
    """Where it is, over http or https."""
    source: str
    """Where address, size and checksum were taken from, such as `torchaudio.datasets.vctk`."""
    bytes: int | None = None
    """Exact size [bytes], or None where no publisher states it; another size is refused."""
    checksum: str | None = None
    """`md5:` or `sha256:` and hexadecimal digits, or None where no publisher states one."""
    unpacked_bytes: int | None = None
    """Size of what is in it [bytes], or None where it is not known; a twentieth more is refused."""
    about_bytes: int | None = None
    """Rounded size [bytes], where no exact one is stated: for listing and for the free disk."""
    mirrors: tuple[str, ...] = ()
    """Other addresses of the same bytes, tried in this order."""
    name: str = ""
    """File name to keep it under; the last part of the address where not given."""
    into: str = ""
    """Folder below the corpus's own that it is put into; the corpus's own where not given."""

    def __post_init__(self) -> None:
        if self.checksum is not None and not _CHECKSUM.fullmatch(self.checksum):
            raise ValueError(f"{self.url}: {self.checksum} is no checksum, such as md5:<32 digits>")
        if PurePosixPath(self.file).name != self.file or not self.file:
            raise ValueError(f"{self.url}: '{self.file}' is no file name; give one")
        if PurePosixPath(self.into).is_absolute() or ".." in PurePosixPath(self.into).parts:
            raise ValueError(f"{self.url}: into '{self.into}' leaves the corpus's folder")

    @property
    def file(self) -> str:
        """Name that the file is kept under."""
        return self.name or unquote(urlsplit(self.url).path).rsplit("/", 1)[-1]

    @property
    def packed(self) -> bool:
        """Whether it is unpacked."""
        return self.file.lower().endswith(PACKED)

    @property
    def size(self) -> int | None:
        """Exact or rounded size [bytes], or None where neither is known."""
        return self.bytes if self.bytes is not None else self.about_bytes


@dataclass(frozen=True)
class Subset:
    """A part of a corpus that can be taken alone."""

    name: str
    """Its name for `--subset`."""
    archives: tuple[Archive, ...]
    hours: float | None = None
    """Length of its recordings [h], or None where it is not known; `--limit-hours` goes by it."""
    default: bool = True
    """Whether it is fetched by default."""


def total_size(archives: Sequence[Archive]) -> int | None:
    """Return the size of several files together [bytes], or None where one is not known."""
    sizes = [one.size for one in archives]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def human(size: float) -> str:
    """Format a size in decimal units, as publishers state it.

    >>> human(6387309499), human(126046265), human(812)
    ('6.4 GB', '126.0 MB', '812 B')
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} B"

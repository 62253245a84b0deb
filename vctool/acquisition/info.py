"""Description of a corpus, and finding its folder among downloads."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from vctool.acquisition.archive import Archive, Subset
from vctool.acquisition.report import Report
from vctool.errors import DataError


@dataclass(frozen=True)
class CorpusInfo:
    """A corpus as its publisher describes it."""

    name: str
    """Its name here: the name of its file."""
    title: str
    """Its own name."""
    hours: float
    """Length of all recordings [h]."""
    licence: str
    """Licence of the recordings, and so of models trained on them."""
    homepage: str
    """Where the publisher describes it and offers it."""
    rate: int
    """Sampling rate [Hz]."""
    layout: str
    """The files that `find` looks for, below `--downloads` or a folder in it."""
    hours_estimated: bool = False
    """Whether the length is an estimate, since its publisher states none."""
    licence_source: str = ""
    """Where the licence was taken from, where that is not simply `homepage`."""
    archives: tuple[Archive, ...] = ()
    """Files that are fetched with every subset; see `vctool.acquisition.obtain`."""
    subsets: tuple[Subset, ...] = ()
    """Parts that `--subset` chooses among, in the order in which `--limit-hours` takes them."""
    non_commercial: bool = False
    """Whether the licence, or the lack of one, rules out commercial use."""
    consent: str | None = None
    """Where to ask for it and what for, where it lies behind a form or a person's consent."""
    shares: str | None = None
    """Name of another corpus whose recordings these are, so that they are fetched once."""

    @property
    def length(self) -> str:
        """Length of all recordings as text [h], with `about` before an estimate."""
        return f"about {self.hours:g}" if self.hours_estimated else f"{self.hours:g}"

    @property
    def folder(self) -> str:
        """Name of its folder among what is fetched."""
        return self.shares or self.name


class Corpus(Protocol):
    """Interface of a corpus module.

    One that is built here, not fetched, also has `download(root) -> Path`, which builds it.
    """

    INFO: CorpusInfo

    def find(self, downloads: Path) -> Path:
        """Return the corpus's folder: the one given, or one directly in it."""

    def prepare(self, source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
        """Write the data dirs out/train, out/dev and out/test."""


def cannot_fetch(info: CorpusInfo, root: Path = Path("data/corpora")) -> NoReturn:
    """Raise the error for a corpus that users must get: where to ask, and where to put it.

    Args:
        info: the corpus.
        root: folder of all corpora.

    Raises:
        DataError: always.
    """
    how = info.consent or f"its publisher offers no file to fetch; get it from {info.homepage}"
    raise DataError(
        f"corpus {info.name}: {how.rstrip('.')}; then put it into {root / info.folder}, or pass "
        f"--downloads DIR, with {info.layout}"
    )


def locate(downloads: Path, info: CorpusInfo, patterns: Iterable[str]) -> Path:
    """Find a corpus's folder: the one given or, by name first, one directly in it.

    Args:
        downloads: what the user passed.
        info: the corpus.
        patterns: globs, any of which a folder of this corpus matches.

    Raises:
        DataError: nothing there looks like this corpus.
    """
    if not downloads.is_dir():
        raise DataError(f"--downloads {downloads}: no such folder")
    patterns = tuple(patterns)
    # what is half unpacked lies in hidden folders
    children = sorted(
        path for path in downloads.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    # a folder that carries the corpus's name goes before one that merely has its shape
    children.sort(key=lambda path: not _plain(path.name).startswith(_plain(info.name)))
    for folder in (downloads, *children):
        if any(next(folder.glob(pattern), None) is not None for pattern in patterns):
            return folder
    raise DataError(f"--downloads {downloads}: no {info.title} there; expected {info.layout}")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())

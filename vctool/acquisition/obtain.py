"""Fetch a corpus: choose parts, show the licence, check the disk, download and unpack."""

import contextlib
import json
import logging
import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from vctool import locks
from vctool.acquisition.archive import Archive, Subset, human, total_size
from vctool.acquisition.fetch import RESERVE, Patience, fetch
from vctool.acquisition.info import CorpusInfo, cannot_fetch
from vctool.acquisition.unpack import STAMPS, unpack
from vctool.config import suggest
from vctool.data.atomic import commit_text, write_text
from vctool.errors import ConfigError, DataError

ARCHIVES = ".archives"
"""Folder of partial downloads, below the corpus's own."""

LOCK = ".lock"
"""File in the corpus's folder whose lock is held while it is fetched."""

GROWTH = 1.5
"""How much larger an archive of sound is unpacked, for the free disk where nobody states it."""

BOUND = 12
"""Size over the archive's from which an unpacked archive of unknown size is refused."""

ALL = "all"
"""Value of `--subset` for all parts."""

logger = logging.getLogger(__name__)


def obtain(
    info: CorpusInfo,
    root: Path,
    subset: str | None = None,
    limit_hours: float | None = None,
    patience: Patience | None = None,
) -> Path:
    """Fetch and unpack a corpus, or what is still missing of it.

    Args:
        info: the corpus.
        root: folder of all corpora; this one goes to `root/<folder>`.
        subset: names of parts with commas between them, or `all`; the usual parts where not given.
        limit_hours: take the corpus's parts in their order as long as they stay within this [h].
        patience: how long servers are borne with.

    Returns:
        The corpus's folder.

    Raises:
        ConfigError: the corpus has no such part, or none that is small enough.
        DataError: it lies behind a form, cannot be fetched, does not fit on the disk, or is not
            what its publisher states.
    """
    folder, missing = root / info.folder, lacking(info, root, subset, limit_hours)
    if not missing:
        return folder
    for line in terms(info):
        logger.info("%s", line)
    with locks.hold(
        folder / LOCK, lambda holder: f"{folder}: {holder} is fetching this corpus; wait for it"
    ):
        wanted = Wanted(info, missing, folder)
        total = total_size(missing)
        logger.info(
            "fetching %s in %d files, %s on the disk",
            "an unstated size" if total is None else human(total),
            len(missing),
            human(wanted.unpacked),
        )
        check_room([wanted])
        write_text(folder / "LICENCE.txt", "\n".join(terms(info)) + "\n")
        for archive in missing:
            path = fetch(archive, folder / ARCHIVES, patience)
            size = path.stat().st_size
            _settle(archive, path, folder)
            _record(info, archive, size, folder)
            path.unlink()  # unpacked and stamped: its room is better used for the next
        with contextlib.suppress(OSError):  # something of a user's own is in it
            (folder / ARCHIVES).rmdir()
    return folder


def lacking(
    info: CorpusInfo, root: Path, subset: str | None = None, limit_hours: float | None = None
) -> list[Archive]:
    """Return the files of a corpus that are still to be fetched; arguments are those of `obtain`.

    Raises:
        ConfigError, DataError: it has no such part, or cannot be fetched at all.
    """
    chosen = choose(info, subset, limit_hours)
    if info.consent is not None or not chosen:
        cannot_fetch(info, root)
    return [one for one in chosen if not is_here(one, root / info.folder)]


def is_here(archive: Archive, folder: Path) -> bool:
    """Tell whether a file has been fetched, and unpacked, into a corpus's folder."""
    return _stamp(archive, folder).exists()


def fetched(folder: Path) -> list[str]:
    """Name the files that have been fetched, and unpacked, into a corpus's folder, sorted."""
    return sorted(path.name.removesuffix(".json") for path in folder.glob(f"{STAMPS}/*.json"))


def _stamp(archive: Archive, folder: Path) -> Path:
    return folder / STAMPS / f"{archive.file}.json"


def choose(info: CorpusInfo, subset: str | None, limit_hours: float | None) -> list[Archive]:
    """Choose what to fetch of a corpus; see `obtain`.

    Raises:
        ConfigError: the corpus has no such part, or none that is small enough.
    """
    for option, value in (("--subset", subset), ("--limit-hours", limit_hours)):
        if value is not None and not info.subsets:
            raise ConfigError(f"{option} {value}: {info.name} comes in one piece; leave it out")
    parts = _named(info, subset)
    if subset is None and limit_hours is not None:
        parts = list(info.subsets)
    if limit_hours is not None:
        parts = _within(info, parts, limit_hours)
    found = [*info.archives, *(one for part in parts for one in part.archives)]
    return list(dict.fromkeys(found))


def _named(info: CorpusInfo, subset: str | None) -> list[Subset]:
    """Return the parts that a user names."""
    if subset is None:
        return [part for part in info.subsets if part.default]
    if subset == ALL:
        return list(info.subsets)
    known = {part.name: part for part in info.subsets}
    wanted = [name.strip() for name in subset.split(",")]
    for name in wanted:
        if name not in known:
            names = suggest(name, [*known, ALL])
            raise ConfigError(f"--subset {name}: {info.name} has no such part{names}")
    return [known[name] for name in dict.fromkeys(wanted)]


def _within(info: CorpusInfo, parts: Sequence[Subset], limit: float) -> list[Subset]:
    """Return the parts, in their order, that stay within some hours together."""
    taken: list[Subset] = []
    hours = 0.0
    for part in parts:
        if part.hours is not None and hours + part.hours <= limit:
            taken.append(part)
            hours += part.hours
    if not taken:
        lengths = [(part.hours, part.name) for part in parts if part.hours is not None]
        least = f"the shortest is {min(lengths)[1]}, {min(lengths)[0]} h" if lengths else "unknown"
        raise ConfigError(f"--limit-hours {limit:g}: no part of {info.name} is so short; {least}")
    return taken


def terms(info: CorpusInfo) -> list[str]:
    """Return the lines of a corpus's licence terms."""
    lines = [f"{info.title}: {info.licence}", f"  see {info.homepage}"]
    if info.licence_source:
        lines.append(f"  licence taken from: {info.licence_source}")
    if info.non_commercial:
        lines.append("  NON-COMMERCIAL: neither it nor models trained on it may be used for profit")
    return lines


class Wanted(NamedTuple):
    """What is to be fetched of a corpus."""

    info: CorpusInfo
    archives: Sequence[Archive]
    folder: Path
    """Where it goes."""

    @property
    def unpacked(self) -> float:
        """Size on the disk in the end [bytes]."""
        return sum(
            one.unpacked_bytes or (one.size or 0) * (GROWTH if one.packed else 1)
            for one in self.archives
        )

    @property
    def largest(self) -> int:
        """Size of the largest archive, which is there beside what is unpacked [bytes]."""
        return max((one.size or 0 for one in self.archives if one.packed), default=0)


def check_room(wanted: Sequence[Wanted]) -> None:
    """Check that the disk has room for all unpacked files and the largest archive.

    Args:
        wanted: corpora that are fetched one after another, on one disk or several.

    Raises:
        DataError: there is too little room.
    """
    of_disk: dict[int, list[Wanted]] = defaultdict(list)
    for one in wanted:
        of_disk[_existing(one.folder).stat().st_dev].append(one)
    for several in of_disk.values():
        needed = sum(one.unpacked - _arrived(one.archives, one.folder) for one in several)
        needed += max(one.largest for one in several)
        place = several[0].folder
        free = shutil.disk_usage(_existing(place)).free
        if needed + RESERVE > free:
            names = " and ".join(one.info.name for one in several)
            need = f"corpus {names}: needs" if len(several) == 1 else f"corpora {names}: need"
            raise DataError(
                f"{need} {human(needed)}, archive and unpacked, but {human(free)} are free at "
                f"{place}; make room, take less (--subset), or link the folder elsewhere"
            )


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest above it that exists."""
    return next(one for one in (folder, *folder.absolute().parents) if one.exists())


def _arrived(archives: Sequence[Archive], folder: Path) -> int:
    """Return how much of the archives lies on the disk already [bytes]."""
    paths = [folder / ARCHIVES / f"{one.file}{end}" for one in archives for end in ("", ".part")]
    return sum(path.stat().st_size for path in paths if path.exists())


def _settle(archive: Archive, path: Path, folder: Path) -> None:
    """Put a fetched file, or what is in it, where it belongs; its stamp comes last."""
    place = folder / archive.into
    if archive.packed:
        size = path.stat().st_size
        known = archive.unpacked_bytes
        bound = BOUND * size + 10**8 if known is None else known + known // 20
        unpack(path, place, bound)
    else:
        place.mkdir(parents=True, exist_ok=True)
        beside = place / f".{path.name}.tmp"
        shutil.copyfile(path, beside)
        os.replace(beside, place / path.name)


def _record(info: CorpusInfo, archive: Archive, size: int, folder: Path) -> None:
    """Stamp a file as done, and tell in SOURCE.txt where everything here is from."""
    note = {
        "archive": archive.file,
        "url": archive.url,
        "bytes": size,
        "checksum": archive.checksum or "unknown: none is stated",
        "source": archive.source,
        "fetched": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    stamp = _stamp(archive, folder)
    commit_text(stamp, json.dumps(note, indent=1) + "\n")
    notes = [json.loads(path.read_text("utf-8")) for path in sorted(stamp.parent.glob("*.json"))]
    lines = [f"{info.title}, from {info.homepage}", ""]
    for one in notes:
        lines += [f"{key}: {value}" for key, value in one.items()] + [""]
    write_text(folder / "SOURCE.txt", "\n".join(lines))

"""Inspect a store's folder, even a damaged one: its index, digests and valid entries."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vctool.data.arks import Found, found_at, walk
from vctool.errors import DataError

INDEX = "feats.scp"
DIGESTS = "utt2crc32"
SHARDS = "feats-*.ark"


class Place(NamedTuple):
    """A line of the index."""

    name: str
    ark: Path
    offset: int
    """Place of the matrix in the shard [bytes]."""
    line: int
    """Number of the line, from 1."""


class Stock(NamedTuple):
    """State of a store on disk."""

    sound: dict[str, Found]
    """Entries that are whole and, where their digest is known, as they were written."""
    damaged: tuple[str, ...] = ()
    """Utterances that the index names and that are damaged."""
    order: dict[Path, list[str]] = {}
    """Utterances of each shard in their order, sound or not."""
    untidy: frozenset[Path] = frozenset()
    """Shards whose entries differ from those in the index."""
    indexed: bool = False
    """Whether the index names all sound entries, and where they are."""
    protected: bool = False
    """Whether the digest of every sound entry is known."""

    def problem(self) -> str:
        """Describe briefly what is wrong with a finished store; empty if nothing is."""
        if self.damaged:
            more = f" and {len(self.damaged) - 1} more" if len(self.damaged) > 1 else ""
            what = "are" if more else "is"
            return f"'{self.damaged[0]}'{more} {what} damaged"
        if self.untidy:
            return f"{min(self.untidy).name} holds what {INDEX} does not name"
        return "" if self.indexed else f"{INDEX} does not name what the shards hold"


def take_stock(path: Path) -> Stock:
    """Read a store through.

    Of a store without an index, which is not finished, the entries count up to the first that is
    torn, stands twice, or is not what was written. Where there is an index, the others count too.

    Args:
        path: the store's folder.
    """
    digests = read_digests(path)
    found, whole = _walk_all(path, digests)
    index = _sound_index(path)
    if index is None or (whole and (digests is None or digests.keys() == found.keys())):
        places = {place.name: (place.ark, place.offset) for place in index or ()}
        same = places == {name: (one.entry.ark, one.entry.offset) for name, one in found.items()}
        return Stock(found, indexed=same and index is not None, protected=digests is not None)
    return _by_index(path, index, digests)


def read_digests(path: Path) -> dict[str, str] | None:
    """Read the digest of every utterance; None where there are none, as in older stores."""
    try:
        lines = (path / DIGESTS).read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    pairs = (line.split(" ") for line in lines)
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2} or None


def read_index(path: Path) -> Iterator[Place]:
    """Yield the lines of `feats.scp`.

    Raises:
        DataError: an entry that is not a plain relative path to a shard; command pipes are refused
            unseen.
    """
    scp = path / INDEX
    for number, line in enumerate(scp.read_text(encoding="utf-8").splitlines(), 1):
        name, _, value = line.strip().partition(" ")
        ark, _, offset = value.strip().rpartition(":")
        if "|" in value:
            raise DataError(f"{scp}:{number}: command pipes are refused: {value}")
        if not ark or not offset.isdigit() or Path(ark).name != ark:
            raise DataError(f"{scp}:{number}: expected `id shard.ark:offset`, found: {line}")
        yield Place(name, path / ark, int(offset), number)


def _walk_all(path: Path, digests: dict[str, str] | None) -> tuple[dict[str, Found], bool]:
    """List entries up to the first that cannot be trusted, and tell whether there is none."""
    found: dict[str, Found] = {}
    for number, shard in enumerate(sorted(path.glob(SHARDS))):
        end = 0
        for one in walk(shard):
            name = one.entry.name
            trusted = digests is None or digests.get(name) == one.digest
            if name in found or not trusted:
                return found, False
            found[name] = one
            end = one.entry.stop
        if end < shard.stat().st_size or shard.name != f"feats-{number:03d}.ark":
            return found, False
    return found, True


def _sound_index(path: Path) -> list[Place] | None:
    """Read the index; None where there is none, or one that cannot be used."""
    try:
        index = list(read_index(path))
    except (FileNotFoundError, UnicodeDecodeError, DataError):
        return None
    return index if len({place.name for place in index}) == len(index) else None


def _by_index(path: Path, index: list[Place], digests: dict[str, str] | None) -> Stock:
    """Check every entry of an index at its stated place."""
    shards: dict[Path, list[Place]] = {shard: [] for shard in path.glob(SHARDS)}
    for place in sorted(index, key=lambda one: (one.ark, one.offset)):
        shards.setdefault(place.ark, []).append(place)
    sound: dict[str, Found] = {}
    untidy: set[Path] = set()
    for shard, places in shards.items():
        if not shard.is_file():
            untidy.add(shard)
            continue
        end = 0
        with shard.open("rb") as ark:
            for place in places:
                one = found_at(ark, shard, place.name, place.offset)
                if one is None or (digests is not None and digests.get(place.name) != one.digest):
                    untidy.add(shard)
                    continue
                if one.entry.start != end:
                    untidy.add(shard)
                sound[place.name] = one
                end = one.entry.stop
        if end != shard.stat().st_size or not places:
            untidy.add(shard)
    order = {shard: [place.name for place in places] for shard, places in shards.items()}
    damaged = tuple(place.name for place in index if place.name not in sound)
    return Stock(sound, damaged, order, frozenset(untidy), True, digests is not None)

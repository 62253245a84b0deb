"""Find recordings with the same content under different names."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from vctool.data.datadir import DataDir
from vctool.data.utterance import Utterance

PURPOSE = "content"
"""Name of digests in a cache (`vctool.cache`)."""


def digest(file: Path) -> str:
    """Return a digest of all bytes of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def shared(folders: Sequence[DataDir]) -> list[str]:
    """Name what data dirs share: an utterance of one that sounds in another, a line each.

    Segments of one recording that do not overlap in time are different utterances. Only files of
    equal size are read.
    """
    of_size: dict[int, set[Path]] = defaultdict(set)
    for data in folders:
        for file in {one.wav for one in data}:
            of_size[file.stat().st_size].add(file)
    contents = {
        file: digest(file) if len(files) > 1 else str(file)
        for files in of_size.values()
        for file in files
    }
    said = []
    for first, second in combinations(folders, 2):
        there: dict[str, list[Utterance]] = defaultdict(list)
        for one in second:
            there[contents[one.wav]].append(one)
        for one in first:
            for other in there[contents[one.wav]]:
                if _overlap(one, other):
                    said.append(f"{first.path}: '{one.id}' is '{other.id}' of {second.path}")
                    break
    return said


def _overlap(one: Utterance, other: Utterance) -> bool:
    if one.channel != other.channel and None not in (one.channel, other.channel):
        return False
    return max(one.start or 0.0, other.start or 0.0) < min(_end(one), _end(other))


def _end(one: Utterance) -> float:
    return (one.start or 0.0) + one.duration

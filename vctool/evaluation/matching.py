"""Pair the recordings of two folders by their names alone.

Names are paths below a folder without their endings; a word is what stands between dots, dashes,
underscores and blanks. In this order, the first that finds anything decides:

    the same path                 ann/3           ann/3
    the same name                 ann/3           sources/3
    one name within the other     200001_to_TM3   200001         by whole words, the longest
    the same name but for words   TM3-200001      SF1-200001
    that open or close every
    name of a folder
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from vctool.errors import DataError

Words = tuple[str, ...]


def match(names: Sequence[str], others: Sequence[str], what: str) -> dict[str, str]:
    """Find the partner of every name that has one.

    Args:
        names: each once.
        others: each once.
        what: what the others are, for errors, such as `source`.

    Returns:
        The partner of every name that has one, no partner twice, in the order of the names.

    Raises:
        DataError: a name has more than one partner, or two names have the same.
    """
    own, theirs = _Names(names), _Names(others)
    found: dict[str, str] = {}
    owner: dict[str, str] = {}
    for name in names:
        partners = _partners(name, own, theirs)
        if len(partners) > 1:
            raise DataError(
                f"'{name}': may belong to the {what} '{partners[0]}' or '{partners[1]}'; rename "
                f"one, so that its name holds one {what}'s whole name"
            )
        for partner in partners:
            if partner in owner:
                raise DataError(
                    f"'{owner[partner]}' and '{name}': both belong to the {what} '{partner}'; "
                    "keep one of them"
                )
            found[name], owner[partner] = partner, name
    return found


class _Names:
    """The names of a folder, in words."""

    def __init__(self, names: Sequence[str]) -> None:
        self.words = {name: _words(_stem(name)) for name in names}
        self.cores = _cores(self.words)


def _partners(name: str, own: _Names, theirs: _Names) -> list[str]:
    """Return the candidates of the first rule that finds any."""
    if name in theirs.words:
        return [name]
    if same := [other for other in theirs.words if _stem(other) == _stem(name)]:
        return same
    held = {other: _held(own.words[name], words) for other, words in theirs.words.items()}
    longest = max(held.values(), default=(0, 0))
    if longest > (0, 0):
        return [other for other, size in held.items() if size == longest]
    core = own.cores[name]
    return [other for other, words in theirs.cores.items() if core and words == core]


def _stem(name: str) -> str:
    return PurePosixPath(name).name


def _words(stem: str) -> Words:
    return tuple(word for word in re.split(r"[\s._-]+", stem) if word)


def _held(one: Words, other: Words) -> tuple[int, int]:
    """Count words and letters of the shorter name if the longer contains it; else (0, 0)."""
    short, long = sorted((one, other), key=len)
    places = range(len(long) - len(short) + 1)
    if not short or not any(long[place : place + len(short)] == short for place in places):
        return 0, 0
    return len(short), sum(map(len, short))


def _cores(words: Mapping[str, Words]) -> dict[str, Words]:
    """Remove the common first and last words of all names; needs two or more names."""
    if len(words) < 2:
        return dict.fromkeys(words, ())
    opening = _opening(list(words.values()))
    left = {name: one[opening:] for name, one in words.items()}
    closing = _opening([one[::-1] for one in left.values()])
    return {name: one[: len(one) - closing] for name, one in left.items()}


def _opening(names: Sequence[Words]) -> int:
    """Count the words that all names start with."""
    count = 0
    for column in zip(*names, strict=False):
        if len(set(column)) > 1:
            break
        count += 1
    return count

"""Pair the recordings of two folders by their names alone.

Names are paths below a folder without their endings, composed or decomposed (Unicode's NFC, NFD); a
word is what stands between dots, dashes, underscores and blanks. In this order, the first that
finds anything decides:

    the same path                 ann/3           ann/3
    the same name                 ann/3           sources/3
    one name within the other     200001_to_TM3   200001         by whole words, the longest; not
                                                                 by those that all names of the
                                                                 folder open or close with
    the same name but for words   TM3-200001      SF1-200001
    that open or close every
    name of a folder
"""

import re
import unicodedata
from collections.abc import Sequence
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
    """The names of a folder, in words, composed (NFC) however they are stored."""

    def __init__(self, names: Sequence[str]) -> None:
        self.composed = {name: unicodedata.normalize("NFC", name) for name in names}
        self.words = {name: _words(_stem(one)) for name, one in self.composed.items()}
        self.opening, self.closing = _shared(list(self.words.values()))

    def core(self, name: str) -> range:
        """Return the places of the words that do not open or close every name."""
        return range(self.opening, len(self.words[name]) - self.closing)

    def core_words(self, name: str) -> Words:
        """Return these words; none where there is one name alone."""
        core = self.core(name)
        return self.words[name][core.start : core.stop] if len(self.words) > 1 else ()


def _partners(name: str, own: _Names, theirs: _Names) -> list[str]:
    """Return the candidates of the first rule that finds any."""
    if name in theirs.words:
        return [name]
    path = own.composed[name]
    if same := [other for other, one in theirs.composed.items() if one == path]:
        return same
    stem = _stem(path)
    if same := [other for other, one in theirs.composed.items() if _stem(one) == stem]:
        return same
    if held := _longest_held(name, own, theirs):
        # words are the same for take-1 and take_1
        literal = [other for other in held if _holds(stem, _stem(theirs.composed[other]))]
        return literal or held
    core = own.core_words(name)
    return [other for other in theirs.words if core and theirs.core_words(other) == core]


def _longest_held(name: str, own: _Names, theirs: _Names) -> list[str]:
    """Return the longest names that this one holds, or that hold it, by whole words.

    What every name of the folder opens or closes with, such as a system's settings in
    `vc_3_ben_1.0_25`, counts only where it alone is found.
    """
    words = own.words[name]
    for core in (own.core(name), range(len(words))):
        sizes = {other: _held(words, theirs.words[other], core) for other in theirs.words}
        longest = max(sizes.values(), default=(0, 0))
        if longest > (0, 0):
            return [other for other, size in sizes.items() if size == longest]
    return []


def _stem(name: str) -> str:
    return PurePosixPath(name).name


def _words(stem: str) -> Words:
    return tuple(word for word in re.split(r"[\s._-]+", stem) if word)


def _holds(one: str, other: str) -> bool:
    """Tell whether the longer name contains the shorter one as it is written, in whole words."""
    short, long = sorted((one, other), key=len)
    return re.search(rf"(?<![^\s._-]){re.escape(short)}(?![^\s._-])", long) is not None


def _held(one: Words, other: Words, core: range) -> tuple[int, int]:
    """Count words and letters of the shorter name if the longer contains it; else (0, 0).

    Args:
        one: a name.
        other: another.
        core: the places of words of `one` of which some must be in what they have in common.
    """
    short, long = sorted((one, other), key=len)
    found = [
        place
        for place in range(len(long) - len(short) + 1)
        if long[place : place + len(short)] == short
    ]
    if len(other) <= len(one):
        found = [
            place for place in found if any(p in core for p in range(place, place + len(short)))
        ]
    if not short or not found:
        return 0, 0
    return len(short), sum(map(len, short))


def _shared(names: Sequence[Words]) -> tuple[int, int]:
    """Count the words that all names open with, and those of the rest that all close with."""
    if len(names) < 2:
        return 0, 0
    opening = _opening(names)
    return opening, _opening([one[opening:][::-1] for one in names])


def _opening(names: Sequence[Words]) -> int:
    """Count the words that all names start with."""
    count = 0
    for column in zip(*names, strict=False):
        if len(set(column)) > 1:
            break
        count += 1
    return count

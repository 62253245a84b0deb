"""How far long work is, shown by a bar."""

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Never, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")


def progress(
    items: Iterable[T], what: str, total: int | None = None, unit: str = "utt"
) -> Iterator[T]:
    """Go through items and show a bar where stderr is a terminal; nothing elsewhere.

    Args:
        items: what is gone through.
        what: what is being done, in a few words.
        total: how many there are, where the items themselves do not tell.
        unit: what one of them is.
    """
    from tqdm import tqdm

    yield from tqdm(items, desc=what, total=total, unit=unit, disable=None)


def transfer(what: str, have: int, total: int | None) -> "tqdm[Never]":
    """Open a bar over bytes, to be updated with each piece; now and then a line in a log.

    Args:
        what: what comes.
        have: bytes that are there already.
        total: bytes in all, where that is known.
    """
    from tqdm import tqdm

    calm = 0.5 if sys.stderr.isatty() else 30.0
    return tqdm(
        total=total,
        initial=have,
        desc=what,
        unit="B",
        unit_scale=True,
        mininterval=calm,
        maxinterval=calm,
        leave=False,
    )

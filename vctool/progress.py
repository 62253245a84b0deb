"""Progress bars."""

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Never, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")


def progress(
    items: Iterable[T], what: str, total: int | None = None, unit: str = "utt"
) -> Iterator[T]:
    """Iterate over items with a progress bar if stderr is a terminal; without one elsewhere.

    Args:
        items: the items.
        what: what is being done, in a few words.
        total: number of items, if they have no length.
        unit: what one item is called.
    """
    from tqdm import tqdm

    yield from tqdm(items, desc=what, total=total, unit=unit, disable=None)


def transfer(what: str, have: int, total: int | None) -> "tqdm[Never]":
    """Open a progress bar over bytes, to be updated with each chunk; in a log, an occasional line.

    Args:
        what: what is being received.
        have: bytes that are there already.
        total: bytes in all, if known.
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

"""How far many items are, on a terminal."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

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

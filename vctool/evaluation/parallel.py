"""Process many waves in this process or in several; the results are the same."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from vctool.metrics.base import Each, serially
from vctool.workers import WorkerPool

S = TypeVar("S")
T = TypeVar("T")

CHUNK = 2
"""Items that a process gets at once."""
FEW = 4
"""Fewer items than this are not worth starting processes for."""


@contextmanager
def workers(nj: int, start: Callable[[], object] | None = None) -> Iterator[Each]:
    """Open processes that end with the context.

    Args:
        nj: how many; with 1, all is done in this process.
        start: called in each before its first item.
    """
    if nj <= 1:
        if start is not None:
            start()
        yield serially
        return
    with WorkerPool(nj, start) as pool:

        def each(one: Callable[[S], T], items: Sequence[S]) -> list[T]:
            return list(pool.map(one, items, chunksize=CHUNK))

        yield each


def spread(nj: int) -> Each:
    """Return a mapper that opens `nj` processes for every call, for scripts without a context."""

    def each(one: Callable[[S], T], items: Sequence[S]) -> list[T]:
        with workers(nj if len(items) >= FEW else 1) as apply:
            return apply(one, items)

    return each

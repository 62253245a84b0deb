"""What is heard of work that takes long: bars on a terminal, and now and then a line elsewhere."""

import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Never, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")

PACE_SECONDS = 60.0
"""Longest silence of work that goes on [s]."""

PATIENCE_SECONDS = 5.0
"""Work that takes less than this is not spoken of [s]."""

logger = logging.getLogger(__name__)


def progress(
    items: Iterable[T], what: str, total: int | None = None, unit: str = "utt"
) -> Iterator[T]:
    """Iterate over items with a progress bar if stderr is a terminal, else with a line a minute.

    Args:
        items: the items.
        what: what is being done, in a few words.
        total: number of items, if they have no length.
        unit: what one item is called.
    """
    from tqdm import tqdm

    if sys.stderr.isatty():
        yield from tqdm(items, desc=what, total=total, unit=unit)
        return
    known = total if total is not None else getattr(items, "__len__", lambda: None)()
    began = told = time.monotonic()
    for count, item in enumerate(items):  # `count` are done
        now = time.monotonic()
        if count and now - told >= PACE_SECONDS:
            told = now
            rest = "" if known is None else f" of {known}"
            left = "" if known is None else duration((now - began) / count * (known - count))
            logger.info("%s: %d%s%s", what, count, rest, f", {left} to go" if left else "")
        yield item


class Meter:
    """Shows how much of some sound is done: a bar on a terminal, a line a minute elsewhere.

    Called as `meter(done, total)`, both in seconds of sound; nothing is shown of what takes less
    than `PATIENCE_SECONDS`.

    Args:
        what: what is being done, in a few words.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._told = 0.0
        self._bar: tqdm[Never] | None = None

    def __call__(self, done: float, total: float) -> None:
        """Show that `done` of `total` seconds are done."""
        if sys.stderr.isatty():
            self._show(done, total)
            return
        now = time.monotonic()
        if not self._began:
            self._began = self._told = now
        if now - self._told >= PACE_SECONDS and 0 < done < total:
            self._told = now
            left = (now - self._began) / done * (total - done)
            logger.info(
                "%s: %s of %s, %s to go",
                *(self._what, duration(done), duration(total), duration(left)),
            )

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()

    def _show(self, done: float, total: float) -> None:
        from tqdm import tqdm

        if self._bar is None:
            form = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}]"
            self._bar = tqdm(
                total=total, desc=self._what, bar_format=form, delay=PATIENCE_SECONDS, leave=False
            )
        self._bar.update(done - self._bar.n)


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Say what is being done inside, where that takes more than some seconds, and that it goes on.

    Args:
        what: what is being done, in a few words.
    """
    done = threading.Event()
    began = time.monotonic()

    def tell() -> None:
        if done.wait(PATIENCE_SECONDS):
            return
        logger.info("%s ...", what)
        while not done.wait(PACE_SECONDS):
            logger.info("%s ... (%s so far)", what, duration(time.monotonic() - began))

    teller = threading.Thread(target=tell, name=f"busy: {what}", daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def duration(seconds: float) -> str:
    """Format a duration in two units.

    >>> duration(7260), duration(75), duration(4)
    ('2h01m', '1m15s', '4s')
    """
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"


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

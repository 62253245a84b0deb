"""Processes that share work, and that end as their user expects.

`pool` and `threads` open them here, or on the Dask cluster that `cluster.use` has chosen. Those
here are spawned, since a forked torch may hang on its threads. Ctrl-C, which a terminal sends to
all processes at once, ends the task that they are in and never prints a traceback; and they leave
when the process that started them is gone, even killed, instead of waiting for work for ever.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType, TracebackType
from typing import ParamSpec, Self, TypeVar

from vctool import cluster

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")

AHEAD = 8
"""Tasks in flight per process, which bounds the memory that waiting results take."""


def pool(
    processes: int, start: Callable[[], object] | None = None
) -> "WorkerPool | cluster.ClusterPool":
    """Open processes, here or on the cluster in use.

    Args:
        processes: how many, here; a cluster has its own number.
        start: called before a process's first task; must bear repetition.
    """
    used = cluster.in_use()
    return WorkerPool(processes, start) if used is None else cluster.ClusterPool(used, start)


def threads(count: int) -> "ThreadPoolExecutor | cluster.ClusterPool":
    """Open threads, for work outside the interpreter's lock, or the cluster in use."""
    used = cluster.in_use()
    return ThreadPoolExecutor(max(1, count)) if used is None else cluster.ClusterPool(used)


def in_order(
    workers: "ThreadPoolExecutor | WorkerPool | cluster.ClusterPool",
    call: Callable[[S], T],
    items: Iterable[S],
    most: int,
) -> Iterator[T]:
    """Apply a call to every item on workers, and yield the results in the order of the items.

    Args:
        workers: who does the work.
        call: what is applied.
        items: taken one by one, as there is room.
        most: calls that are waiting, being worked on, or done and not taken yet.
    """
    flying: deque[Future[T] | cluster.ClusterFuture] = deque()
    try:
        for item in items:
            if len(flying) >= most:
                yield flying.popleft().result()
            flying.append(workers.submit(call, item))
        while flying:
            yield flying.popleft().result()
    finally:
        for future in flying:
            future.cancel()


class Workers:
    """Processes that are started when there is enough to do, and then kept; or this one alone.

    Args:
        processes: how many; with one, or few items, the work is done in this process. A cluster
            that is in use takes their place.
        start: called in each before its first item.
        alone: what work in this process is done within, such as settings that `start` makes.
        few: as many items are not worth starting processes for.
        here: whether the work stays on this machine, whatever cluster is in use.

    Use as a context manager.
    """

    def __init__(
        self,
        processes: int,
        start: Callable[[], object] | None = None,
        *,
        alone: Callable[[], AbstractContextManager[object]] = nullcontext,
        few: int = 4,
        here: bool = False,
    ) -> None:
        self._processes, self._start, self._alone = processes, start, alone
        self._few, self._here = few, here
        self._pool: WorkerPool | cluster.ClusterPool | None = None

    def map(self, call: Callable[[S], T], items: Sequence[S]) -> Iterator[T]:
        """Apply a call to every item, and yield the results in the order of the items.

        They are the same for any number of processes. A bounded number is computed ahead of what
        is taken.
        """
        nobody = self._processes <= 1 and (self._here or cluster.in_use() is None)
        if nobody or len(items) <= self._few:
            with self._alone():
                yield from map(call, items)
            return
        if self._pool is None:
            opened = WorkerPool if self._here else pool
            self._pool = opened(self._processes, self._start)
        yield from in_order(self._pool, call, items, AHEAD * self._pool.processes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


class WorkerPool(ProcessPoolExecutor):
    """A pool of spawned processes.

    Args:
        processes: how many.
        start: called in each before its first task.

    Leaving it as a context manager waits for the tasks that are being worked on, and drops those
    that are not.
    """

    def __init__(self, processes: int, start: Callable[[], object] | None = None) -> None:
        self.processes = processes
        context = multiprocessing.get_context("spawn")
        super().__init__(processes, mp_context=context, initializer=_begin, initargs=(start,))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Hand over a task; `map` comes through here too."""
        with _blocked():  # the first task starts the processes, which inherit what is blocked
            return super().submit(_work, fn, *args, **kwargs)  # type: ignore[arg-type]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave; after an error without the tasks that are still to do."""
        self.shutdown(wait=True, cancel_futures=True)


class _Interrupted:
    """What a worker makes of Ctrl-C: an exception within a task, a note between two."""

    noted = False
    busy = False

    @classmethod
    def note(cls, number: int, frame: FrameType | None) -> None:
        cls.noted = True
        if cls.busy:
            raise KeyboardInterrupt


def _work(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    if _Interrupted.noted:
        raise KeyboardInterrupt
    _Interrupted.busy = True
    try:
        return fn(*args, **kwargs)
    finally:
        _Interrupted.busy = False


def _begin(start: Callable[[], object] | None) -> None:
    """Set up a worker."""
    signal.signal(signal.SIGINT, _Interrupted.note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    if start is not None:
        start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _blocked() -> Iterator[None]:
    """Hold Ctrl-C back for a moment."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

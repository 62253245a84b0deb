"""Worker processes that stop cleanly on Ctrl-C and when their parent dies.

`pool` and `threads` open them on this machine, or on the Dask cluster that `cluster.use` has
opened. Local ones are spawned, since a forked torch may hang on its threads. Ctrl-C, which a
terminal sends to all processes at once, ends the running task and never prints a traceback. Workers
exit when their parent is gone, even if it was killed, instead of waiting for work for ever.
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
    """Open processes on this machine, or on the cluster in use.

    Args:
        processes: number of local processes; a cluster has its own.
        start: called before a process's first task; must be idempotent.
    """
    used = cluster.in_use()
    return WorkerPool(processes, start) if used is None else cluster.ClusterPool(used, start)


def threads(count: int) -> "ThreadPoolExecutor | cluster.ClusterPool":
    """Open threads, for work that releases the GIL, or the cluster in use."""
    used = cluster.in_use()
    return ThreadPoolExecutor(max(1, count)) if used is None else cluster.ClusterPool(used)


def in_order(
    workers: "ThreadPoolExecutor | WorkerPool | cluster.ClusterPool",
    call: Callable[[S], T],
    items: Iterable[S],
    most: int,
) -> Iterator[T]:
    """Apply a function to every item on workers, and yield the results in the order of the items.

    Args:
        workers: the pool.
        call: the function.
        items: taken one by one, as there is room.
        most: maximum number of calls that are pending, running, or done but not yielded yet.
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
    """Processes that are started once there is enough work, and then kept; else this process alone.

    Args:
        processes: how many; with one, or few items, the work is done in this process. A cluster
            in use replaces them.
        start: called in each before its first item.
        alone: context for work in this process, such as the settings that `start` makes.
        few: up to this many items are done in this process.
        here: whether to stay on this machine even if a cluster is in use.

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
        """Apply a function to every item, and yield the results in the order of the items.

        They are the same for any number of processes. A bounded number is computed ahead.
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

    On exit as a context manager, it waits for running tasks and cancels pending ones.
    """

    def __init__(self, processes: int, start: Callable[[], object] | None = None) -> None:
        self.processes = processes
        context = multiprocessing.get_context("spawn")
        super().__init__(processes, mp_context=context, initializer=_begin, initargs=(start,))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Submit a task; `map` calls this too."""
        with _blocked():  # the first task starts the processes, which inherit the blocked signals
            return super().submit(_work, fn, *args, **kwargs)  # type: ignore[arg-type]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Shut down; after an error, pending tasks are cancelled."""
        self.shutdown(wait=True, cancel_futures=True)


class _Interrupted:
    """How a worker handles Ctrl-C: an exception within a task, a flag between tasks."""

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

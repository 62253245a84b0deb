"""A Dask cluster in place of local processes: the same results in the same order.

Workers run vctool from the same files, and see the recordings and the project at the same paths (a
shared disk). If a worker dies, the others redo its share. Machines whose versions of vctool, or of
a package that affects the results, differ are refused with an error that names the package.
"""

import gc
import hashlib
import importlib.metadata
import logging
import platform
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from vctool import extras
from vctool.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Future

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_SECONDS = 15.0
"""How long a scheduler may take to answer [s]."""

NO_WORKER_SECONDS = 120.0
"""How long a cluster may be without any worker before the work is given up [s]."""

_STEP = 5.0  # how often a long wait looks at whether the cluster still lives [s]
_NUMERIC = ("numpy", "scipy", "torch", "librosa", "pyworld", "soundfile", "soxr", "kaldiio")

logger = logging.getLogger(__name__)


class Cluster:
    """The workers of one scheduler.

    Args:
        address: of the scheduler, such as `tcp://10.0.0.1:8786`.

    Raises:
        ClusterError: no package `distributed` here, no scheduler there, or one without workers.
    """

    def __init__(self, address: str) -> None:
        try:
            import dask

            # Errors are reported here in one line; distributed would log forty.
            dask.config.set({"logging": {"distributed": "critical"}})
            from distributed import Client
        except ImportError as error:
            raise ClusterError(
                f"--scheduler {address}: {error.name} is not installed; {extras.remedy('cluster')}"
            ) from None
        self.address = address
        reason = ""
        try:
            self._client = Client(
                address, timeout=CONNECT_SECONDS, set_as_default=False, name="vctool"
            )
        except (OSError, ValueError) as error:
            reason = _line(error)
        if reason:
            # The half-made client closes itself when it is collected, for which it takes a lock
            # that the next one holds while it starts: collected there, both would wait for ever.
            gc.collect()
            raise ClusterError(
                f"--scheduler {address}: no Dask scheduler answers ({reason}); start one "
                "with `dask scheduler` and workers with `dask worker ADDRESS --nthreads 1`"
            )
        self.slots = sum(self._client.nthreads().values())
        if not self.slots:
            self.close()
            raise ClusterError(
                f"--scheduler {address}: has no workers; start some with "
                f"`dask worker {address} --nthreads 1 --nworkers 4`"
            )
        logger.info("%s: %d tasks at a time", address, self.slots)

    def submit(self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Submit one call and return its Dask future."""
        return self._client.submit(_call, identity(), fn, args, kwargs, pure=False)

    def wait(self, future: "Future") -> Any:
        """Wait for a result as long as there are workers.

        Raises:
            ClusterError: scheduler or workers are gone, or the task has killed several workers.
        """
        from distributed import KilledWorker

        idle = 0.0
        while True:
            try:
                return future.result(timeout=_STEP)
            except KilledWorker as error:
                raise ClusterError(
                    f"--scheduler {self.address}: one task ended {error.allowed_failures + 1} "
                    "workers, the last was "
                    f"{getattr(error.last_worker, 'address', error.last_worker)}; see "
                    "its log, most often its memory limit: `dask worker --memory-limit`"
                ) from None
            except CancelledError:
                raise self._gone() from None
            except ModuleNotFoundError as error:
                raise ClusterError(
                    f"--scheduler {self.address}: a worker has no module '{error.name}'; start it "
                    "in this project's environment, with PYTHONPATH at its root"
                ) from None
            except TimeoutError:
                # The task's own, or ours: then the task may have ended since.
                own = future.exception() if future.status == "error" else None
                if isinstance(own, TimeoutError):
                    raise own from None
            idle = 0.0 if self._has_workers() else idle + _STEP
            if idle >= NO_WORKER_SECONDS:
                raise ClusterError(
                    f"--scheduler {self.address}: no worker is left; start some and run this "
                    "again, finished work is kept"
                )

    def close(self) -> None:
        """Cancel pending tasks and disconnect; the workers keep running."""
        self._client.close(timeout=_STEP)

    def _has_workers(self) -> bool:
        try:
            return bool(self._client.nthreads())
        except (OSError, CancelledError):
            raise self._gone() from None

    def _gone(self) -> ClusterError:
        return ClusterError(
            f"--scheduler {self.address}: the scheduler went away; start it and run this again, "
            "finished work is kept"
        )


class ClusterFuture:
    """The future of a task of a `ClusterPool`."""

    def __init__(self, cluster: Cluster, future: "Future") -> None:
        self._cluster = cluster
        self._future = future

    def result(self) -> Any:
        """Return the task's result, or raise its exception; see `Cluster.wait`."""
        return self._cluster.wait(self._future)

    def cancel(self) -> None:
        """Withdraw the task."""
        self._future.cancel()


class ClusterPool:
    """A `WorkerPool` whose workers are on a cluster.

    Args:
        cluster: where.
        start: called before every task, on the thread that runs it; must be idempotent.
    """

    def __init__(self, cluster: Cluster, start: Callable[[], object] | None = None) -> None:
        self._cluster = cluster
        self._start = start
        self.processes = cluster.slots

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> ClusterFuture:
        """Submit a task."""
        future = self._cluster.submit(_started, (self._start, fn, args, kwargs), {})
        return ClusterFuture(self._cluster, future)

    def map(
        self, fn: Callable[..., T], *iterables: Any, chunksize: int = 1, ahead: int = 8
    ) -> Iterator[T]:
        """Yield results in order, with a bounded number of tasks in flight.

        Args:
            fn: the function to call.
            iterables: its arguments, as in the built-in `map`.
            chunksize: calls in one task.
            ahead: tasks in flight per slot of the cluster.
        """
        waiting: deque[ClusterFuture] = deque()
        try:
            for chunk in _chunks(zip(*iterables, strict=False), chunksize):
                if len(waiting) >= ahead * self.processes:
                    yield from waiting.popleft().result()
                waiting.append(self.submit(_all, fn, chunk))
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do nothing: the cluster serves others, and `map` has cancelled its pending tasks."""

    def __enter__(self) -> "ClusterPool":
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()


_used: list[Cluster] = []


@contextmanager
def use(address: str | None) -> Iterator[None]:
    """Let pools that are opened inside this context run on a cluster.

    Args:
        address: of its scheduler; None for local processes.

    Raises:
        ClusterError: see `Cluster`.
    """
    if address is None:
        yield
        return
    cluster = Cluster(address)
    _used.append(cluster)
    try:
        yield
    finally:
        _used.remove(cluster)
        cluster.close()


def in_use() -> Cluster | None:
    """Return the cluster that `use` opened, or None."""
    return _used[-1] if _used else None


@cache
def identity() -> dict[str, str]:
    """Return versions that results depend on: this code, Python, and numerical packages."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    found = {"vctool": digest.hexdigest()[:12], "python": platform.python_version()}
    for name in _NUMERIC:
        found[name] = importlib.metadata.version(name)
    return found


def _call(
    wanted: dict[str, str],
    fn: Callable[..., T],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> T:
    """Run a task on a worker, if its versions are those of the caller."""
    here = identity()
    for name, value in wanted.items():
        if here.get(name) != value:
            raise ClusterError(
                f"worker {platform.node()}: has {name} {here.get(name)}, this process has {value}; "
                "install the same on both"
            )
    return fn(*args, **kwargs)


def _started(
    start: Callable[[], object] | None,
    fn: Callable[..., T],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> T:
    if start is not None:
        start()
    return fn(*args, **kwargs)


def _all(fn: Callable[..., T], chunk: list[tuple[Any, ...]]) -> list[T]:
    return [fn(*arguments) for arguments in chunk]


def _chunks(items: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    chunk: list[tuple[Any, ...]] = []
    for item in items:
        chunk.append(item)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

"""One utterance's features, and many of them in parallel, in order, with the failures named."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import NamedTuple, Self

import torch
from threadpoolctl import threadpool_limits

from vctool.cluster import ClusterFuture, ClusterPool
from vctool.data.utterance import Utterance
from vctool.errors import VctoolError
from vctool.features.analysis import whole_features
from vctool.features.excerpt import Excerpt
from vctool.features.kinds import F0Range, Features, accompaniment_kinds, voice_kinds
from vctool.features.settings import FeatureConfig
from vctool.workers import WorkerPool, pool, together

FEW = 4
"""Utterances that are not worth starting processes for."""

AHEAD = 8
"""Utterances in flight per process, which bounds the memory that waiting results take."""


class Task(NamedTuple):
    """What to compute of one utterance."""

    utterance: Utterance
    kinds: tuple[str, ...]
    """Kinds of features: of the voice, and with `accomp_` before the name of the accompaniment."""
    config: FeatureConfig
    f0_floor: float
    """Lowest F0 of the voice [Hz]."""
    f0_ceil: float
    """Highest F0 of the voice [Hz]."""


class Result(NamedTuple):
    """What came of it."""

    name: str
    features: Features
    """By kind (F, D) float32; empty where it failed."""
    reason: str
    """Why it failed, in one line; empty where it did not."""


def features_of(task: Task) -> Features:
    """Compute an utterance's features.

    Raises:
        VctoolError: its audio cannot be used.
    """
    config = task.config
    f0_range = F0Range(task.f0_floor, task.f0_ceil)
    voice = task.utterance.load(config.rate)
    result = whole_features(Excerpt(voice, config), voice_kinds(task.kinds), f0_range)
    if accompanied := accompaniment_kinds(task.kinds):
        accomp = task.utterance.load_accomp(config.rate, len(voice))
        result |= whole_features(Excerpt(accomp, config), accompanied, f0_range)
    return result


def attempt(task: Task) -> Result:
    """Compute an utterance's features, or say why they cannot be."""
    name = task.utterance.id
    try:
        return Result(name, features_of(task), "")
    except VctoolError as error:
        return Result(name, {}, " ".join(str(error).split()))
    except Exception as error:
        error.add_note(f"while computing {', '.join(task.kinds)} of utterance {name}")
        raise


class Workers:
    """Processes that compute features; started when there is enough to do, and then kept.

    Args:
        nj: number of processes; with one, or few tasks, the work is done in this process. A
            cluster that is in use (`vctool.cluster`) takes their place.

    Use as a context manager.
    """

    def __init__(self, nj: int) -> None:
        self._nj = nj
        self._pool: WorkerPool | ClusterPool | None = None

    def attempt_all(self, tasks: Sequence[Task]) -> Iterator[Result]:
        """Yield the results of tasks in their order; the same for any number of processes."""
        if together(self._nj, len(tasks), FEW):
            with _single_thread():
                yield from map(attempt, tasks)
            return
        if self._pool is None:
            self._pool = pool(self._nj, start=_count_alone)
        waiting: deque[Future[Result] | ClusterFuture] = deque()
        for task in tasks:
            if len(waiting) >= AHEAD * self._pool.processes:
                yield waiting.popleft().result()
            waiting.append(self._pool.submit(attempt, task))
        while waiting:
            yield waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _count_alone() -> None:
    """Let torch and numpy's BLAS use one thread: sums round alike with one number of them."""
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")


@contextmanager
def _single_thread() -> Iterator[None]:
    """Compute on one thread here, as the processes do."""
    threads = torch.get_num_threads()
    with threadpool_limits(user_api="blas"):  # puts back what it is by then
        _count_alone()
        try:
            yield
        finally:
            torch.set_num_threads(threads)

"""One utterance's features, and many of them in parallel, in order, with the failures named."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, Self

import numpy as np
import torch

from vctool.cluster import ClusterFuture, ClusterPool
from vctool.data.utterance import Utterance
from vctool.errors import VctoolError
from vctool.features import chroma, framing, mel, world
from vctool.features.kinds import Features
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
    """Out of `mel`, `world`, `pitch`, `chroma`, `wave`, their `accomp_` twins, and `f0`, the wide
    first pass."""
    config: FeatureConfig
    f0_floor: float
    """Lowest F0 of the voice [Hz], for `world` and `pitch`."""
    f0_ceil: float
    """Highest F0 of the voice [Hz], for `world` and `pitch`."""


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
    voice = task.utterance.load(config.rate)
    accomp: np.ndarray | None = None
    result: Features = {}
    for kind in task.kinds:
        wave = voice
        if kind.startswith("accomp_"):
            if accomp is None:
                accomp = task.utterance.load_accomp(config.rate, len(voice))
            wave = accomp
        match kind.removeprefix("accomp_"):
            case "mel":
                result[kind] = mel.log_mel(wave, config)
            case "world":
                result[kind] = world.analyse(wave, config, task.f0_floor, task.f0_ceil)
            case "pitch":
                f0 = world.estimate_f0(wave, config, task.f0_floor, task.f0_ceil)
                result[kind] = f0[:, None]
            case "chroma":
                result[kind] = chroma.chroma(wave, config)
            case "wave":
                result[kind] = framing.frame(wave, config)
            case "f0":
                result[kind] = world.estimate_f0(wave, config)[:, None]
            case _:
                raise AssertionError(f"no such kind of feature: {kind}")
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
            self._pool = pool(self._nj, start=partial(torch.set_num_threads, 1))
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


@contextmanager
def _single_thread() -> Iterator[None]:
    """Compute on one thread, as the processes do: sums then round alike."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

"""One utterance's features, and many of them in parallel, in order, with the failures named."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from threadpoolctl import threadpool_limits

from vctool import workers
from vctool.data.utterance import Utterance
from vctool.errors import VctoolError
from vctool.features.analysis import whole_features
from vctool.features.base import F0Range, Features, accompaniment_kinds, voice_kinds
from vctool.features.excerpt import Excerpt
from vctool.features.settings import FeatureConfig


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
    """The result of a task."""

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
    """Compute an utterance's features, or return the reason why that fails."""
    name = task.utterance.id
    try:
        return Result(name, features_of(task), "")
    except VctoolError as error:
        return Result(name, {}, " ".join(str(error).split()))
    except Exception as error:
        error.add_note(f"while computing {', '.join(task.kinds)} of utterance {name}")
        raise


class Workers(workers.Workers):
    """Processes that compute features, each on one thread.

    Args:
        nj: number of processes; see `workers.Workers`.

    Use as a context manager.
    """

    def __init__(self, nj: int) -> None:
        super().__init__(nj, _count_alone, alone=_single_thread)

    def attempt_all(self, tasks: Sequence[Task]) -> Iterator[Result]:
        """Yield the results of tasks in their order; the same for any number of processes."""
        return self.map(attempt, tasks)


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

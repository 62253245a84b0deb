from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from vctool import workers as shared
from vctool.data import extraction
from vctool.data.extraction import Result, Task, Workers
from vctool.data.utterance import Utterance
from vctool.features.settings import FeatureConfig

TASK = Task(Utterance("a-1", "a", "speech", Path("a.wav"), 1.0), ("mel",), FeatureConfig(), 65, 400)


def threads(task: Task) -> Result:
    """Say in how many threads one utterance is computed."""
    blas = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
    count = np.array([[torch.get_num_threads(), max(blas)]], np.float32)
    return Result(task.utterance.id, {"mel": count}, "")


@pytest.fixture
def several() -> object:
    """Let torch and BLAS use three threads."""
    before = torch.get_num_threads()
    with threadpool_limits(3, user_api="blas"):
        torch.set_num_threads(3)
        yield
    torch.set_num_threads(before)


def test_an_utterance_is_computed_on_one_thread_whatever_there_are(
    several: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matrix products round by the number of threads, and dumps must not."""
    assert threads(TASK).features["mel"].tolist() == [[3, 3]]
    monkeypatch.setattr(extraction, "attempt", threads)
    with Workers(1) as workers:
        (found,) = workers.attempt_all([TASK])
    assert found.features["mel"].tolist() == [[1, 1]]
    assert threads(TASK).features["mel"].tolist() == [[3, 3]]


def test_so_is_one_that_another_process_computes(
    several: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes are this one here: what they are started with is what counts."""

    def here(processes: int, start: Callable[[], object]) -> ThreadPoolExecutor:
        start()
        made = ThreadPoolExecutor(1)
        made.processes = processes  # type: ignore[attr-defined]
        return made

    monkeypatch.setattr(shared, "pool", here)
    monkeypatch.setattr(extraction, "attempt", threads)
    with Workers(2) as workers:
        found = list(workers.attempt_all([TASK] * 5))
    assert {tuple(one.features["mel"][0]) for one in found} == {(1.0, 1.0)}

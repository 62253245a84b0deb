"""The toy family: importable by name here and in child processes, and known to the engine."""

import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from vctool.models import base

sys.path.insert(0, str(Path(__file__).parent))  # child processes inherit it


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    import toy_family

    monkeypatch.setattr(base, "family", toy_family.family)
    return toy_family


@pytest.fixture(scope="session")
def start_training() -> Callable[..., ForkServerProcess]:
    """Start `toy_family.train` in a process of its own; a server has imported torch already."""
    import toy_family

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vctool.engine.loop", "torch.utils.tensorboard"])

    def start(*args: Any, **kwargs: Any) -> ForkServerProcess:
        process = context.Process(target=toy_family.train, args=args, kwargs=kwargs)
        process.start()
        return process

    return start

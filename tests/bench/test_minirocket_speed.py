"""MiniRocket against sktime's numba transform: prints ratios, asserts no time."""

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from vctool.models.vocal_cyclegan.minirocket import MiniRocket

sktime = pytest.importorskip("sktime.transformations.rocket", reason="sktime not installed")

ROUNDS = 3


def _medians(
    actions: dict[str, Callable[[], object]], clock: Callable[[], float]
) -> dict[str, float]:
    """Median seconds of each action, interleaved so that a busy machine hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(ROUNDS + 1):
        for name, action in actions.items():
            start = clock()
            action()
            seconds[name].append(clock() - start)
    return {name: float(np.median(times[1:])) for name, times in seconds.items()}


@pytest.mark.parametrize("one_thread", [True, False], ids=["one-thread", "two-threads"])
def test_minirocket_speed(capsys, one_thread):
    """Targets: forward within 1.5 times sktime, forward and backward within 4 times.

    One thread is timed in its own CPU seconds, which other programs disturb little. Two threads
    are timed by the wall, which means something on a quiet machine only.
    """
    numba = pytest.importorskip("numba")
    from sktime.transformations.rocket import _minirocket_multi_numba as reference

    before = numba.get_num_threads(), torch.get_num_threads()
    threads = 1 if one_thread else 2
    numba.set_num_threads(threads)
    torch.set_num_threads(threads)
    data = np.random.default_rng(0).standard_normal((64, 128, 256)).astype(np.float32)
    transformer = sktime.MiniRocketMultivariate(random_state=0).fit(data[:4])
    module = MiniRocket.from_sktime(transformer, 128)
    x = torch.from_numpy(data)
    direction = torch.randn(module.out_features)

    def forward_backward() -> torch.Tensor:
        leaf = x.clone().requires_grad_()
        (module(leaf) @ direction).sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    medians = _medians(
        {
            "sktime": lambda: reference._transform_multi(data, transformer.parameters),
            "hard": lambda: module(x, hard=True),
            "soft": lambda: module(x),
            "soft + backward": forward_backward,
        },
        time.thread_time if one_thread else time.perf_counter,
    )
    numba.set_num_threads(before[0])
    torch.set_num_threads(before[1])
    with capsys.disabled():
        for name, seconds in medians.items():
            ratio = seconds / medians["sktime"]
            print(f"\nminirocket, {threads} threads, {name}: {1e3 * seconds:.0f} ms,", end="")
            print(f" {ratio:.2f} x sktime", end="")
        print()
    assert torch.isfinite(forward_backward()).all()

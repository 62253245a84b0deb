"""Compute batches ahead in one thread, while the device is busy with the step before."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from vctool.engine.distributed import Processes
from vctool.models.base import Dataset

AHEAD = 2
"""Batches kept ready in memory."""


def map_tensors(batch: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply a function to every tensor of a batch, whatever tuples, lists or mappings hold it."""
    if isinstance(batch, Tensor):
        return function(batch)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(map_tensors(value, function) for value in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(map_tensors(value, function) for value in batch)
    if isinstance(batch, Mapping):
        return {key: map_tensors(value, function) for key, value in batch.items()}
    return batch


def to_device(batch: Any, device: torch.device) -> Any:
    """Move every tensor of a batch to a device."""
    return map_tensors(batch, lambda tensor: tensor.to(device, non_blocking=True))


class Prefetcher:
    """Prefetches batches of consecutive steps; any other step is computed on demand.

    The dataset runs in a separate thread, so it must draw from its own generators, keyed by step,
    never from torch's global one.
    """

    def __init__(self, data: Dataset, processes: Processes, stop: int) -> None:
        """Prepare to serve the steps below `stop`."""
        self._data = data
        self._processes = processes
        self._stop = stop
        self._waiting: dict[int, Future[Any]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")

    def batch(self, step: int) -> Any:
        """Return this process's share of a step's batch, on its device."""
        for other in [other for other in self._waiting if not step <= other <= step + AHEAD]:
            self._waiting.pop(other).cancel()
        for other in range(step, min(step + AHEAD + 1, self._stop)):
            if other not in self._waiting:
                self._waiting[other] = self._thread.submit(self._compute, other)
        return to_device(self._waiting.pop(step).result(), self._processes.device)

    def close(self) -> None:
        """End the thread after its current batch."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _compute(self, step: int) -> Any:
        batch = self._data.batch(step, self._processes.rank, self._processes.size)
        if self._processes.device.type == "cuda":
            # pinned memory is copied while the GPU computes
            return map_tensors(batch, Tensor.pin_memory)
        return batch

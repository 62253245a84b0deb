"""Data-parallel training: processes of `torchrun`, each with its share of every global batch."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vctool.errors import ConfigError, TrainingError
from vctool.processes import mean_over_processes

BUCKET = 2**24
"""Gradients are averaged in pieces of at most this many numbers (64 MiB)."""


@dataclass(frozen=True)
class Processes:
    """Which process this is, out of how many, and where it computes."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes files and prints (rank 0)."""
        return self.rank == 0


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Turn `auto`, `cpu` or `cuda` into a device.

    Raises:
        ConfigError: another name, or `cuda` where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device {name}: no such device; there are: auto, cpu, cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError("--device cuda: torch sees no GPU here; use --device cpu")
    if name == "cpu" or not available:
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if local_rank >= count:
        raise ConfigError(f"--nproc-per-node {local_rank + 1}: there are {count} GPUs; start fewer")
    return torch.device("cuda", local_rank)


@contextmanager
def processes(device: str = "auto") -> Iterator[Processes]:
    """Join the process group that `torchrun` started, or run as a single process.

    Args:
        device: `auto`, `cpu` or `cuda`; the backend is gloo on CPUs and nccl on GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    chosen = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if size == 1:
        yield Processes(device=chosen)
        return
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", rank=rank, world_size=size)
    try:
        yield Processes(rank, size, chosen)
    finally:
        dist.destroy_process_group()


def require_equal_shares(batch_size: int, size: int) -> None:
    """Check that a global batch divides evenly, as averaging the gradients assumes.

    Raises:
        TrainingError: it does not.
    """
    if batch_size % size:
        raise TrainingError(
            f"train.batch_size = {batch_size}: {size} processes cannot share it evenly; "
            f"use a multiple of {size}"
        )


def average_gradients(parameters: Sequence[nn.Parameter], size: int) -> None:
    """Average the gradients of parameters over all processes, in place.

    Parameters without a gradient get zeros first, with one process too, so that a parameter that
    only some processes used is updated alike in all of them.
    """
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    if size == 1:
        return
    for bucket in _buckets([p.grad for p in parameters if p.grad is not None]):
        mean = mean_over_processes(torch.cat([gradient.flatten() for gradient in bucket]))
        for gradient, piece in zip(
            bucket, mean.split([gradient.numel() for gradient in bucket]), strict=True
        ):
            gradient.copy_(piece.view_as(gradient))


def broadcast(module: nn.Module, size: int) -> None:
    """Copy every weight and buffer of the first process to all others."""
    if size == 1:
        return
    for tensor in (t for t in [*module.parameters(), *module.buffers()] if t.numel()):
        # contiguous bytes, for backends that support neither bool nor strides
        data = tensor.detach().contiguous()
        dist.broadcast(data.view(-1).view(torch.uint8), src=0)
        tensor.data.copy_(data)


class Flags:
    """Flags of all processes on their way from the device to the host.

    Creating it waits for nothing on a GPU, so that the next step can be queued before the flags
    of this one are read.
    """

    def __init__(self, flags: Iterable[bool | Tensor], processes: Processes) -> None:
        """Begin to collect flags: booleans or boolean scalars."""
        raised = torch.stack([torch.as_tensor(f, device=processes.device).float() for f in flags])
        # pinned memory, which is filled without blocking
        self._values = mean_over_processes(raised).to("cpu", non_blocking=True)
        self._arrived: torch.cuda.Event | None = None
        if processes.device.type == "cuda":
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def read(self) -> list[bool]:
        """Wait for the flags; tell for each whether it is set in any process."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return [value > 0 for value in self._values.tolist()]


def any_process(flags: Iterable[bool | Tensor], processes: Processes) -> list[bool]:
    """Tell for each flag whether it is set in any process, at once."""
    return Flags(flags, processes).read()


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for tensor in tensors:
        if bucket and sum(held.numel() for held in bucket) + tensor.numel() > BUCKET:
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket

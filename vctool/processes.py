"""Averages over the processes of one training run; identities if there is only one."""

import torch.distributed as dist
from torch import Tensor


def process_count() -> int:
    """Return how many processes train together; 1 outside `torchrun`."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean_over_processes(values: Tensor) -> Tensor:
    """Average values over all processes; every process must call it, with the same shape.

    Values that decide control flow (the running mean of a gated discriminator) must be averaged
    here; otherwise processes could take different branches and deadlock.

    Args:
        values: any shape, floating point.

    Returns:
        The averages, same shape, detached.
    """
    total = values.detach().clone()
    count = process_count()
    if count > 1:
        dist.all_reduce(total)
        total /= count
    return total

"""Averages over the processes of one training run; identities if there is only one."""

import torch
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


def concat_over_processes(batch: Tensor) -> Tensor:
    """Concatenate the shares (B/N, ...) of all processes to the global batch (B, ...), in order.

    For losses on batch statistics. Gradients flow to this process's own share only, scaled by the
    number of processes, because the engine averages gradients: together that is the gradient of
    one process on the whole batch.
    """
    count = process_count()
    if count == 1:
        return batch
    parts = [torch.empty_like(batch) for _ in range(count)]
    dist.all_gather(parts, batch.detach().contiguous())
    # the loss is the same on all N processes, each holding 1/N of its gradient: sum, not mean
    own = batch * count - batch.detach() * (count - 1)
    parts[dist.get_rank()] = own
    return torch.cat(parts)

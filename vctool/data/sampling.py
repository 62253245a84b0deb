"""Randomness as a function of (seed, step, example), so that batch k needs no batch before it."""

import numpy as np
import torch
from torch import Tensor


def generator(*key: int) -> np.random.Generator:
    """Return a generator that depends on nothing but the numbers given.

    >>> int(generator(0, 7).integers(1000)) == int(generator(0, 7).integers(1000))
    True
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def share(total: int, rank: int, world_size: int) -> slice:
    """Return the part of a global batch that one process takes.

    >>> [share(8, rank, 2) for rank in (0, 1)]
    [slice(0, 4, None), slice(4, 8, None)]
    """
    if total % world_size:
        raise ValueError(f"batch of {total} does not divide over {world_size} processes")
    size = total // world_size
    return slice(rank * size, (rank + 1) * size)


def keyed_normal(keys: Tensor, shape: tuple[int, ...], salt: int) -> Tensor:
    """Draw standard normal noise that each example owns, whatever batch it is in.

    Args:
        keys: (B,) int64, one per example.
        shape: shape of one example's noise.
        salt: tells apart the several noises of one example.

    Returns:
        (B, *shape) float32 on the device of `keys`.
    """
    return _keyed(keys, shape, salt, torch.randn)


def keyed_uniform(keys: Tensor, shape: tuple[int, ...], salt: int) -> Tensor:
    """Draw noise from [0, 1) that each example owns; see `keyed_normal`."""
    return _keyed(keys, shape, salt, torch.rand)


def _keyed(keys: Tensor, shape: tuple[int, ...], salt: int, draw: object) -> Tensor:
    assert callable(draw)
    noise = []
    for key in keys.tolist():
        # Drawn on the CPU so that every device sees the same numbers.
        source = torch.Generator().manual_seed((key * 1_000_003 + salt) % (1 << 62))
        noise.append(draw(shape, generator=source))
    return torch.stack(noise).to(keys.device)

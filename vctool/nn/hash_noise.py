"""Noise as a function of (seed, stream, absolute sample), so that any position is computable alone.

A counter-based generator, as those of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3"
(2011): the sample's number goes through a Feistel network of two 20-bit halves. It needs products,
quotients and remainders of int64 below 2^63 and nothing else, which torch, numpy and ONNX Runtime
compute alike, so that a stream is the same however it is cut, wherever it begins, whoever runs it.
"""

import hashlib
import math
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

HALF = 2**20
"""Each half of a sample's number is below this: positions repeat after 2^40 samples, 289 days."""

ROUNDS = 5

Numbers = TypeVar("Numbers", Tensor, np.ndarray)


def keys(seed: int, stream: int) -> list[tuple[int, int]]:
    """Return an offset and an odd factor below 2^21 for each round, from a seed and a stream.

    Args:
        seed: any whole number; another take.
        stream: any whole number; what must be independent within a take has its own.
    """
    told = hashlib.blake2b(f"{seed} {stream}".encode(), digest_size=8 * ROUNDS).digest()
    words = [int.from_bytes(told[8 * n : 8 * n + 8], "little") for n in range(ROUNDS)]
    return [(word % HALF, (word // HALF) % HALF * 2 + 1) for word in words]


def halves(position: Numbers, seed: int, stream: int) -> tuple[Numbers, Numbers]:
    """Hash sample numbers.

    Args:
        position: int64 of any shape, 0 or more.
        seed: see `keys`.
        stream: see `keys`.

    Returns:
        Two independent int64 of the same shape, uniform in 0..2^20-1.
    """
    left, right = position // HALF % HALF, position % HALF
    for offset, factor in keys(seed, stream):
        # below 2^41 * 2^21; the middle of a square depends on all of its bits
        mixed = (right * right + offset * right + offset) % (2 * HALF * HALF) * factor
        left, right = right, (left + mixed // (8 * HALF)) % HALF
    return left, right


def positions(start: Tensor, samples: int) -> Tensor:
    """Return the numbers of the samples of a chunk, (T,) int64, from `Stream.step`'s `start`."""
    return start + torch.arange(samples, device=start.device)


def uniform(position: Tensor, seed: int, stream: int) -> Tensor:
    """Return noise that is uniform between 0 and 1, neither included; float32 of that shape."""
    first, _ = halves(position, seed, stream)
    return (first.float() + 0.5) / HALF


def normal(position: Tensor, seed: int, stream: int) -> Tensor:
    """Return white noise, standard normal up to 5.4 sigma; float32 of that shape."""
    first, second = halves(position, seed, stream)
    radius = torch.sqrt(-2 * torch.log((first.float() + 0.5) / HALF))
    return radius * torch.cos(2 * math.pi / HALF * second.float())

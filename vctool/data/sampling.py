"""Randomness as a function of (seed, step, example), so that batch k needs no batch before it."""

import math

import numpy as np
import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: SplitMix64's step from one number to the next."""
_HALF = (1 << 32) - 1
"""The lower half of 64 bits."""


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

    A function of (key, salt, index) alone, drawn on the device of `keys` without waiting for it.
    The random integers behind it are the same on every device; the transform to normal numbers
    (Box and Muller, 1958) is, up to the rounding of logarithm and sine.

    Args:
        keys: (B,) int64, one per example.
        shape: shape of one example's noise.
        salt: tells apart the several noises of one example.

    Returns:
        (B, *shape) float32.
    """
    count = math.prod(shape)
    bits = _hash(keys, (count + 1) // 2, salt)
    high, low = (bits >> 32).bitwise_and_(_HALF), bits.bitwise_and_(_HALF)
    # in (0, 1], so that its logarithm is finite
    radius = high.float().add_(0.5).mul_(2.0**-32).log_().mul_(-2.0).sqrt_()
    angle = low.float().mul_(2.0 * math.pi * 2.0**-32)
    noise = torch.cat([radius * angle.cos(), radius.mul_(angle.sin())], dim=1)
    return noise[:, :count].reshape(len(keys), *shape)


def keyed_uniform(keys: Tensor, shape: tuple[int, ...], salt: int) -> Tensor:
    """Draw noise from [0, 1) that each example owns; see `keyed_normal`."""
    bits = _hash(keys, math.prod(shape), salt)
    # the upper 24 bits: as many as float32 holds
    return (bits >> 40).bitwise_and_((1 << 24) - 1).float().mul_(2.0**-24).view(len(keys), *shape)


def _hash(keys: Tensor, count: int, salt: int) -> Tensor:
    """Return (B, count) int64, all 64 bits random: SplitMix64 (Steele, Lea and Flood, 2014).

    An example's numbers are those of a generator that starts at the mixed key and salt.
    """
    start = _mix(keys + _signed(salt * _GOLDEN))
    counter = torch.arange(1, count + 1, device=keys.device).mul_(_signed(_GOLDEN))
    return _mix(start[:, None] + counter)


def _mix(x: Tensor) -> Tensor:
    """Map 64-bit integers one to one to others that look unrelated, in place."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x.bitwise_xor_(_shifted(x, shift)).mul_(_signed(factor))
    return x.bitwise_xor_(_shifted(x, 31))


def _shifted(x: Tensor, shift: int) -> Tensor:
    """Shift right and fill with zeros, where `>>` fills with copies of the sign."""
    return (x >> shift).bitwise_and_((1 << (64 - shift)) - 1)


def _signed(value: int) -> int:
    """Return the signed number that has the same lower 64 bits."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)

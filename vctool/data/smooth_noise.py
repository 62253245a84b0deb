"""Smooth noise as a function of time and a number: any moment of it can be computed alone.

Standard normal numbers at evenly spaced knots are joined by a uniform cubic B-spline. A knot's
number is an integer hash (`data.sampling`), so two runs agree to the bit wherever they begin.
"""

from functools import lru_cache

import numpy as np
import torch

from vctool.data.sampling import keyed_uniform

_SUMMED = 4
"""Uniform numbers that are summed for a knot: exact in any order, near normal, and bounded."""
_SPLINE_SPREAD = 0.69
"""Standard deviation of the spline over that of its knots."""
_PAGE = 32
"""Knots that are drawn at once."""


def curve(seconds: np.ndarray, knot: float, salt: int, limit: float = np.inf) -> np.ndarray:
    """Read smooth noise at moments.

    Args:
        seconds: (F,) rising, any absolute times [s].
        knot: step between knots [s].
        salt: which noise.
        limit: knots are kept within this of 0, and so are all values.

    Returns:
        (F,) of about unit standard deviation, within 5 of 0.
    """
    place = np.floor(seconds / knot)
    first, last = int(place[0]) - 1, int(place[-1]) + 2
    pages = range(first // _PAGE, last // _PAGE + 1)
    knots = np.clip(np.concatenate([_knots(page, salt) for page in pages]), -limit, limit)
    u = seconds / knot - place
    at = place.astype(int) - 1 - pages[0] * _PAGE
    weights = (
        (1 - u) * (1 - u) * (1 - u) / 6,
        ((3 * u - 6) * u * u + 4) / 6,
        (((3 - 3 * u) * u + 3) * u + 1) / 6,
        u * u * u / 6,
    )
    return np.asarray(sum(weight * knots[at + step] for step, weight in enumerate(weights)))


@lru_cache(maxsize=4096)
def _knots(page: int, salt: int) -> np.ndarray:
    """Draw `_PAGE` knots of a curve: of the standard deviation with which the curve has 1."""
    keys = torch.arange(page * _PAGE, (page + 1) * _PAGE)
    uniform = keyed_uniform(keys, (_SUMMED,), salt).double().sum(dim=1).numpy()
    return np.asarray((uniform - _SUMMED / 2) * np.sqrt(12 / _SUMMED) / _SPLINE_SPREAD)


@lru_cache(maxsize=4096)
def draw(key: int, salt: int) -> float:
    """Draw a number from 0 to 1 for an integer key."""
    return float(keyed_uniform(torch.tensor([key]), (1,), salt)[0, 0])

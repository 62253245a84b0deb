"""Changes of a voice's envelope, as families between voices make them: smooth, varied, level."""

import numpy as np
from scipy.ndimage import convolve1d

from vctool.features import world
from vctool.features.settings import FeatureConfig

SOUNDING_SECONDS = 0.3
"""Sound at which its own deviation counts as much as none."""
WIDEST_GAIN = 2.0
"""Most that the deviation of a coefficient is multiplied or divided by."""
FADE_SECONDS = 0.04
"""Half width of the window over which `varied` begins and ends where sound does."""


def smoothed(values: np.ndarray, half_width: float) -> np.ndarray:
    """Smooth (N, D) over time by a Hann window of a half width [frames]; ends are held."""
    reach = int(half_width)
    window = 0.5 + 0.5 * np.cos(np.pi * np.arange(-reach, reach + 1) / (half_width + 1e-9))
    return np.asarray(convolve1d(values, window / window.sum(), axis=0, mode="nearest"))


def varied(made: np.ndarray, active: np.ndarray, wanted: np.ndarray, rate: float) -> np.ndarray:
    """Compute what carries the deviation of every coefficient to that of a voice.

    A mean of what would do varies less than any of it, and is heard as dull. The deviation over
    time is called global variance (Toda and Tokuda, 2007).

    Args:
        made: (N, D) envelopes, one frame after the other.
        active: (N,) bool: which of them sound, at least one.
        wanted: (D,) standard deviation of the voice's frames.
        rate: frames per second.

    Returns:
        (N, D), to be added to `made`; 0 in the first column, and where nothing sounds around. The
        less sound there is, the less is changed.
    """
    sounding = made[active].astype(np.float64)
    centre, spread = sounding.mean(axis=0), sounding.std(axis=0) + 1e-6
    trust = len(sounding) / (len(sounding) + SOUNDING_SECONDS * rate)
    gain = np.clip(wanted / spread, 1 / WIDEST_GAIN, WIDEST_GAIN) ** trust
    near = smoothed(active[:, None].astype(np.float64), FADE_SECONDS * rate)
    more = near * (gain - 1) * (made - centre)
    more[:, 0] = 0
    return np.asarray(more)


def at_level(own: np.ndarray, change: np.ndarray, features: FeatureConfig) -> np.ndarray:
    """Shift changes (N, D) so that every frame keeps the power of the source's `own` (N, D).

    The mean of the log power, which the first column holds, does not: a sibilant has its power
    in few bands.
    """
    before, after = (
        10 * np.log10(world.decode_envelope(values, features).mean(axis=1))
        for values in (own, own + change)
    )
    unit = np.eye(1, own.shape[1])
    shifted = change.copy()
    shifted[:, 0] += (before - after) / world.envelope_gain_db(unit, features)[0, 0]
    return shifted

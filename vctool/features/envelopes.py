"""Changes of a voice's envelope, as families between voices make them.

Smooth in time, with the spread of a voice, at a level, and without the noise of a recording.
"""

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
LOUDNESS_EXPONENT = 0.3
"""Loudness of a band over its power (Stevens, 1957)."""
NOISE_PERCENTILE, LOUD_PERCENTILE = 10.0, 95.0
"""The noise of a recording, and its sound, are these percentiles of a bin's levels."""
LEAST_RANGE_DB = 30.0
"""Noise is at most this far below the sound of its bin [dB], so that a held vowel is none."""
NOISE_DB = 3.0
"""Levels up to this above the noise are noise [dB]."""
NOISE_SECONDS = 0.025
"""Half width of the window that smooths over time what is noise [s]."""


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


def at_loudness(own: np.ndarray, change: np.ndarray, features: FeatureConfig) -> np.ndarray:
    """Shift changes (N, D) so that every frame keeps the loudness of the source's `own` (N, D).

    Loudness is the sum over mel of the power of every critical band to `LOUDNESS_EXPONENT`. Kept
    power hangs on the one band that holds it: where a change takes 15 dB from the first formant,
    all that lies above, noise too, would be raised by nearly as much. Kept mean log power counts
    bands that nobody hears, and lets sibilants burst.
    """
    hz = np.linspace(0, features.rate / 2, 1 + world.fft_size(features) // 2)
    per_mel = 1 + hz / 700  # width of a mel, and about that of a critical band, over that at 0 Hz
    weights = per_mel ** (LOUDNESS_EXPONENT - 1)
    before, after = (
        10 * np.log10(world.decode_envelope(values, features) ** LOUDNESS_EXPONENT @ weights)
        for values in (own, own + change)
    )
    unit = world.envelope_gain_db(np.eye(1, own.shape[1]), features)[0, 0]
    shifted = change.copy()
    shifted[:, 0] += (before - after) / (LOUDNESS_EXPONENT * unit)
    return shifted


def without_noise(
    own: np.ndarray, change: np.ndarray, features: FeatureConfig, range_db: float
) -> np.ndarray:
    """Take from changes (N, D) what would raise the noise of the recording.

    What is no more than `NOISE_DB` above the noise of its frequency bin is not raised, and what is
    `range_db` further above is raised in full. What a change lowers, it lowers.

    Args:
        own: (N, D) envelopes of the source, one frame after the other.
        change: (N, D), what is to be added to them.
        features: the settings.
        range_db: distance over which raising sets in [dB]; 0 leaves changes as they are.
    """
    if not range_db:
        return change
    level = 10 * np.log10(world.decode_envelope(own, features))
    noise, loud = np.percentile(level, (NOISE_PERCENTILE, LOUD_PERCENTILE), axis=0)
    noise = np.minimum(noise, loud - LEAST_RANGE_DB)
    clear = np.clip((level - noise - NOISE_DB) / range_db, 0.0, 1.0)
    clear = smoothed(clear, NOISE_SECONDS * features.frame_rate)
    raised = np.maximum(world.envelope_gain_db(change, features), 0.0)
    return change + world.code_envelope(10 ** (raised * (clear - 1) / 10), features)


def levelled(
    own: np.ndarray,
    change: np.ndarray,
    features: FeatureConfig,
    share: float,
    noise_range_db: float,
) -> np.ndarray:
    """Set the level of changes (F, D) of the source's envelopes, and spare its noise.

    Args:
        own: (F, D) envelopes of the source, one frame after the other.
        change: (F, D), what is to be added to them; its first column is what the target would do
            with the level of every frame.
        features: the settings.
        share: how loud a frame becomes: at 0 as loud as it was (`at_loudness`), at 1 what the
            first column says.
        noise_range_db: see `without_noise`.
    """
    wanted = change[:, 0].copy()
    made = at_loudness(own, change, features)
    made[:, 0] += share * (wanted - made[:, 0])
    return without_noise(own, made, features, noise_range_db)

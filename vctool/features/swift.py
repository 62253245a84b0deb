"""F0 values by SwiftF0, a network of 14 thousand weights that ships in the package swift-f0.

The network (MIT; its first version: Nieradzik, 2025) was trained on MDB-stem-synth, NSynth,
PTDB-TUG, MOCHA-TIMIT and CMU Arctic, a collection that is for research. It gives a pitch and a
confidence every 16 ms at 16 kHz, and its windows reach 0.18 s to either side. Only its pitch is
used: its confidence falls with the level, so that it calls a voice unvoiced 60 dB below full scale.
DIO, whose voicing does not depend on the level, decides what is voiced.

On 40 clips of MIR-1K, which it was not trained on, 2.1 % of the frames that DIO and the labels call
voiced are off by more than 50 cents, where DIO's own pitch has 4.3 % (tests/bench). StoneMask does
not refine its values: that brings those errors back. On clean synthetic voices they lie 2 to 5
cents off, where StoneMask's lie within 1.
"""

import os
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from vctool.audio import resample
from vctool.errors import ConfigError
from vctool.features.settings import SWIFT_REMEDY, FeatureConfig

if TYPE_CHECKING:
    from swift_f0 import SwiftF0

RATE = 16000
"""Sampling rate that the network hears [Hz]."""
LARGEST_STEP = 3.0
"""Pitch moves no further than this from one of its frames to the next [semitones]; beyond it, the
more confident of the two stands, and not a pitch between a voice's and its octave."""


def pitch(
    wave: np.ndarray, config: FeatureConfig, floor: float, ceil: float, frames: int
) -> np.ndarray:
    """Estimate F0 in every frame as if it were voiced.

    Args:
        wave: (T,) at the config's rate, in -1..1.
        config: the settings.
        floor: lowest F0 [Hz].
        ceil: highest F0 [Hz].
        frames: F, number of frames.

    Returns:
        (F,) float64 [Hz], from `floor` to `ceil`.

    Raises:
        ConfigError: swift-f0 is not installed.
    """
    heard = resample(wave, config.rate, RATE)
    found = _detector().detect(heard, RATE, floor, ceil)
    octaves = np.log2(np.clip(found.pitch_hz, floor, ceil))
    place = np.interp(
        np.arange(frames) * config.hop_length / config.rate,
        found.timestamps,
        np.arange(len(octaves)),
    )
    left = place.astype(int)
    right = np.minimum(left + 1, len(octaves) - 1)
    between = octaves[left] + (place - left) * (octaves[right] - octaves[left])
    surer = np.where(found.confidence[right] > found.confidence[left], right, left)
    leaps = 12 * np.abs(octaves[right] - octaves[left]) > LARGEST_STEP
    return np.asarray(np.clip(2.0 ** np.where(leaps, octaves[surer], between), floor, ceil))


@lru_cache(maxsize=1)
def _detector() -> "SwiftF0":
    """Return the network, on one thread, so that its sums round alike beside any other work.

    Raises:
        ConfigError: swift-f0, or onnxruntime that runs it, is not installed.
    """
    try:
        from swift_f0 import SwiftF0
    except ImportError as error:
        raise ConfigError(
            f"f0_estimator = swift_f0: {error.name} is not installed; {SWIFT_REMEDY}"
        ) from None
    return SwiftF0(threads=1, spin=False)


# A forked child loads its own.
os.register_at_fork(after_in_child=_detector.cache_clear)

"""Waves as pretrained evaluation models want them: at the scoring rate and at one level."""

import numpy as np

from vctool.audio.loudness import match_level
from vctool.metrics.pitch import RATE, at_scoring_rate

LEVEL_DB = -26.0
"""Active level that waves are brought to [dB of full scale]; the nominal one of ITU-T P.56."""


def levelled(wave: np.ndarray, rate: int, level_db: float = LEVEL_DB) -> np.ndarray:
    """Bring a wave (T,) of any rate and level to `RATE` and to an active level.

    Returns:
        (T',) float32 within -0.99..0.99; silence stays silence.
    """
    wave = at_scoring_rate(wave, rate)
    peak = float(np.max(np.abs(wave), initial=0.0))
    # By way of peak 1, so that the absolute gate of the level meter hears all waves alike.
    return match_level((wave / peak if peak > 0 else wave).astype(np.float32), RATE, level_db)

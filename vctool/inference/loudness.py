"""Loudness of outputs, which is matched to that of the input."""

import logging
import math

from vctool.audio import SILENCE_DB
from vctool.audio.loudness import matching_gain
from vctool.features.analysis import Scan

logger = logging.getLogger(__name__)


def level_gain(known: Scan, level_db: float, peak: float, wanted_db: float | None = None) -> float:
    """Return the gain that makes an output as loud as its input, or as loud as it can be unclipped.

    Args:
        known: the scan of the input.
        level_db: active level of the output [dB of full scale].
        peak: largest magnitude of the output.
        wanted_db: the level wanted instead of the input's: its own, where a model that runs in real
            time has to sound alike live and here.
    """
    wanted = known.level_db if wanted_db is None else wanted_db
    if known.silent or peak == 0:
        return 1.0
    if level_db <= SILENCE_DB:
        logger.warning("the model's output is silent although its input is not")
        return 1.0
    gain = matching_gain(level_db, wanted, peak)
    lowered = wanted - level_db - 20 * math.log10(gain)
    if lowered > 1e-6:
        told = "the output is %.1f dB softer than %s, so as not to clip"
        logger.info(told, lowered, "the input" if wanted_db is None else "the model makes it")
    return gain

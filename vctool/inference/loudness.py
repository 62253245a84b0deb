"""Loudness of outputs, which is matched to that of the input."""

import logging
import math

from vctool.audio import SILENCE_DB
from vctool.audio.loudness import matching_gain
from vctool.features.analysis import Scan

logger = logging.getLogger(__name__)


def level_gain(known: Scan, level_db: float, peak: float) -> float:
    """Return the gain that makes an output as loud as its input, or as loud as it can be unclipped.

    Args:
        known: the scan of the input.
        level_db: active level of the output [dB of full scale].
        peak: largest magnitude of the output.
    """
    if known.silent or peak == 0:
        return 1.0
    if level_db <= SILENCE_DB:
        logger.warning("the model's output is silent although its input is not")
        return 1.0
    gain = matching_gain(level_db, known.level_db, peak)
    lowered = known.level_db - level_db - 20 * math.log10(gain)
    if lowered > 1e-6:
        logger.info("the output is %.1f dB softer than the input, so as not to clip", lowered)
    return gain

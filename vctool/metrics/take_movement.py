"""How a take moves against the lead it doubles: in time, in pitch and in level.

The two are aligned by their mel-cepstra (`metrics.alignment`), frame by frame. What is measured is
how much the difference varies along the path, so that neither a constant delay, nor another tempo,
key or gain counts: a delay line that does not move is 0 in all three.
"""

import numpy as np

from vctool.metrics.alignment import align
from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.pitch import HOP, RATE, at_scoring_rate, fold_octaves
from vctool.metrics.voice_analysis import VoiceAnalysis

SMOOTHED_FRAMES = 31
"""Frames over which the difference of F0 is averaged: slower than vibrato."""
MEDIAN_FRAMES = 5
"""Frames of the median before, which takes out slips of the tracker."""
LEVEL_FRAMES = 5
"""Frames over which the difference of the levels is averaged."""

SETTINGS = (
    "aligned by c1..c24 every 10 ms; standard deviations along the path: of the shift in time less "
    f"a straight line; of F0 where both are voiced, over {10 * SMOOTHED_FRAMES} ms, octaves "
    f"forgiven; of the level over {10 * LEVEL_FRAMES} ms on the same frames"
)
"""What these values depend on, for the line under their table."""

TITLE = "movement"
MEASURES = {
    "take_timing": Measure(
        "timing", "ms", "real", "how the time moves against the lead's", gap=False
    ),
    "take_f0": Measure(
        "slow F0", "cents", "real", "how the pitch moves against the lead's", gap=False
    ),
    "take_level": Measure(
        "level", "dB", "real", "how the level moves against the lead's", gap=False
    ),
}
BOARDS = {"doubles": Stand(10)}
ANALYSIS = VoiceAnalysis
NEEDS = ("sources",)


def measure(row: Row[VoiceAnalysis]) -> dict[str, Pooled]:
    """Pool the movements of takes against their leads: means over takes."""
    found = values(row)
    ones = np.ones(len(found))
    return {name: ratio(found[:, place], ones) for place, name in enumerate(MEASURES)}


def values(row: Row[VoiceAnalysis]) -> np.ndarray:
    """Measure every take: (N, 3) timing [ms], slow F0 [cents], level [dB]; found once."""
    outputs, leads = row.outputs, row.sources
    assert leads is not None

    def find() -> np.ndarray:
        pairs = zip(*(leads.analyses, outputs.analyses), *(leads.waves, outputs.waves), strict=True)
        return np.array(
            [
                movement(
                    lead,
                    take,
                    levels(at_scoring_rate(lead_wave, leads.rate)),
                    levels(at_scoring_rate(wave, outputs.rate)),
                )
                for lead, take, lead_wave, wave in pairs
            ]
        )

    return outputs.once("movement", find)


def levels(wave: np.ndarray) -> np.ndarray:
    """Return the levels of a wave at the scoring rate, every 10 ms: (1 + T // HOP,) [dB]."""
    frames = np.pad(wave, (HOP // 2, 2 * HOP))[: (1 + len(wave) // HOP) * HOP].reshape(-1, HOP)
    return np.asarray(10 * np.log10(np.mean(frames**2, axis=1) + 1e-9))


def movement(
    lead: VoiceAnalysis, take: VoiceAnalysis, lead_db: np.ndarray, take_db: np.ndarray
) -> tuple[float, float, float]:
    """Measure a take against its lead.

    Args:
        lead: analysis of the lead.
        take: of the take.
        lead_db: (F,) levels of the lead's frames [dB].
        take_db: the same of the take.

    Returns:
        The standard deviations: of time [ms], slow pitch [cents], level [dB]. The latter two are 0
        where nothing is voiced in both.
    """
    from scipy.ndimage import median_filter, uniform_filter1d

    path = align(lead, take)
    own, place = np.unique(path[0], return_inverse=True)
    shift = np.bincount(place, path[1] - path[0]) / np.bincount(place)
    line = np.polyval(np.polyfit(own, shift, 1), own) if len(own) > 2 else shift.mean()
    timing = 1000 * HOP / RATE * float(np.std(shift - line))
    other = np.clip(np.rint(own + shift).astype(int), 0, len(take.f0) - 1)
    voiced = (lead.f0[own] > 0) & (take.f0[other] > 0)
    if not voiced.any():
        return timing, 0.0, 0.0
    own, other = own[voiced], other[voiced]
    cents = fold_octaves(1200 * np.log2(take.f0[other] / lead.f0[own]))
    slow = uniform_filter1d(median_filter(cents, MEDIAN_FRAMES), SMOOTHED_FRAMES)
    level = uniform_filter1d(take_db[other] - lead_db[own], LEVEL_FRAMES)
    return timing, float(np.std(slow)), float(np.std(level))

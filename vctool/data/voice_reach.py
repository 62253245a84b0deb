"""Which voices leave the F0 range of the settings, and the settings that cover them."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vctool.data.utterance import Utterance
from vctool.errors import AudioError
from vctool.features import reach
from vctool.features.reach import Reach
from vctool.features.settings import FeatureConfig
from vctool.progress import progress
from vctool.workers import Workers

SAMPLE = 8
"""Utterances of a voice that are measured, spread over all of them."""

SECONDS = 15.0
"""Length of an utterance that is measured [s]."""

_NAMED = 3
_ROOM = 1.2
"""Ratio of a suggested end of the range to the voice's extreme."""


def voices_beyond(
    utterances: Sequence[Utterance], config: FeatureConfig, workers: Workers
) -> dict[str, Reach]:
    """Measure a sample of each voice, and return those that leave the settings' F0 range.

    Args:
        utterances: of any number of voices.
        config: the settings, with `f0_floor` and `f0_ceil`.
        workers: the pool that measures.

    Returns:
        By the voice's name, `SPEAKER (DOMAIN)`, in order.
    """
    own: dict[str, list[Utterance]] = defaultdict(list)
    for one in utterances:
        own[f"{one.speaker} ({one.domain})"].append(one)
    queue = [(name, one) for name in sorted(own) for one in _spread(own[name])]
    heard: dict[str, list[np.ndarray]] = defaultdict(list)
    measured = workers.map(_measure, [one for _, one in queue])
    shown = progress(measured, "F0 range of the voices", len(queue))
    for (name, _), f0 in zip(queue, shown, strict=True):
        heard[name].append(f0)
    found = {
        name: reach.beyond(np.concatenate(f0s), config.f0_floor, config.f0_ceil)
        for name, f0s in heard.items()
    }
    return {name: one for name, one in found.items() if any(one)}


def covering(found: Mapping[str, Reach]) -> dict[str, float]:
    """Return the settings `f0_floor` and `f0_ceil` [Hz], where needed, that cover these voices."""
    lows = [one.lowest for one in found.values() if one.lowest is not None]
    highs = [one.highest for one in found.values() if one.highest is not None]
    settings = {}
    if lows:
        settings["f0_floor"] = max(reach.LOWEST, 5.0 * math.floor(min(lows) / _ROOM / 5))
    if highs:
        settings["f0_ceil"] = min(reach.HIGHEST, 50.0 * math.ceil(max(highs) * _ROOM / 50))
    return settings


def told(found: Mapping[str, Reach], config: FeatureConfig) -> list[str]:
    """Say which voices leave the range, what becomes of them and which setting covers them.

    Returns:
        A line for each end of the range that a voice is beyond.
    """
    lines, settings = [], covering(found)
    high = {name: one.highest for name, one in found.items() if one.highest is not None}
    low = {name: one.lowest for name, one in found.items() if one.lowest is not None}
    if high:
        lines.append(
            f"{_several(high)} up to {max(high.values()):.0f} Hz, above features.f0_ceil = "
            f"{config.f0_ceil:g}: such notes are taken for unvoiced; "
            f"--set features.f0_ceil={settings['f0_ceil']:g} covers them"
        )
    if low:
        lines.append(
            f"{_several(low)} down to {min(low.values()):.0f} Hz, below features.f0_floor = "
            f"{config.f0_floor:g}: such frames are read an octave high; "
            f"--set features.f0_floor={settings['f0_floor']:g} covers them"
        )
    return lines


def _several(names: Mapping[str, float]) -> str:
    shown = ", ".join(list(names)[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"F0 of {shown}{more} goes"


def _spread(utterances: Sequence[Utterance]) -> list[Utterance]:
    places = np.linspace(0, len(utterances) - 1, min(SAMPLE, len(utterances)))
    return [utterances[int(place)] for place in places]


def _measure(one: Utterance) -> np.ndarray:
    start = one.start or 0.0
    end = min(start + one.duration, start + SECONDS)
    part = one if one.duration <= SECONDS else replace(one, start=start, end=end)
    try:
        return reach.certain_f0(part.load(reach.RATE))
    except AudioError:  # named when its features are computed
        return np.zeros(0)

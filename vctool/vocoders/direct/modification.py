"""Pitch and spectral envelope of a recording, changed on its own wave."""

from collections.abc import Sequence

import numpy as np

from vctool.vocoders.direct.pitch_marks import VoicedPart, find
from vctool.vocoders.direct.psola import move_pitch
from vctool.vocoders.direct.shaping import shape

SMOOTHED_PERIODS = 7
"""Periods over which the pitch of the sound is averaged; what is faster is the voice's own."""
CORRECTED = np.log(2) / 24
"""Move of the pitch from which on it arrives exactly where it was asked for [log Hz]."""
LARGEST_CORRECTION = 0.3 * np.log(2) / 12
"""Largest correction of the contour [log Hz]. Where more seems to be wrong, as in creak, the marks
are no surer than it."""


def modify(
    wave: np.ndarray,
    rate: int,
    hop_length: int,
    source_f0: np.ndarray,
    target_f0: np.ndarray,
    gain_db: np.ndarray | None = None,
    frequencies: np.ndarray | None = None,
) -> np.ndarray:
    """Move the pitch of a recording, then filter it by a gain curve for every frame.

    Frame k is centred on sample `k * hop_length`; frames beyond the end of the wave are not used,
    and the last is held where the wave is longer. Only voiced sound is moved in pitch: where
    `source_f0` is 0, or neighbouring periods are not alike (breath, noise), it is copied. Where
    only `target_f0` is 0, voiced sound is moved as at the nearest frames that have both.

    Args:
        wave: (T,) in -1..1.
        rate: its sampling rate [Hz].
        hop_length: step between frames [samples].
        source_f0: (F,) of the wave [Hz], 0 where unvoiced.
        target_f0: (F,) wanted [Hz], 0 where unvoiced; moved by at most two octaves.
        gain_db: (F, K) gain of each frame [dB], at most 40 dB up or down; none where None.
        frequencies: (K,) of the gains [Hz], rising: linear, mel or any others; evenly spaced from 0
            to half the rate where None. Between them gains are interpolated linearly in dB.

    Returns:
        (T,) float32, not clipped. With equal F0 and gains of 0 dB it is the wave. Pitch is moved at
        equal power, to 3 dB.
    """
    source, target = np.asarray(source_f0, np.float64), np.asarray(target_f0, np.float64)
    assert source.shape == target.shape, (source.shape, target.shape)
    result = np.asarray(wave, np.float64)
    both = (source > 0) & (target > 0)
    if both.any() and not np.array_equal(source[both], target[both]):
        frames = np.arange(len(source))
        moved = np.interp(frames, frames[both], np.log(target[both] / source[both]))
        parts = find(result, rate, hop_length, source)
        # The contour may be somewhat beside the sound, above all where that was stretched. Pitch
        # that is moved arrives where it was asked for, and pitch that is not stays as it is.
        share = np.minimum(np.abs(moved) / CORRECTED, 1.0)
        beside = _beside(parts, source, rate, hop_length)
        moved -= share * np.clip(beside, -LARGEST_CORRECTION, LARGEST_CORRECTION)
        result = move_pitch(result, hop_length, parts, np.exp(moved))
    if gain_db is not None and np.any(gain_db):
        result = shape(result, rate, hop_length, gain_db, frequencies)
    return result.astype(np.float32)


def _beside(parts: Sequence[VoicedPart], f0: np.ndarray, rate: int, hop_length: int) -> np.ndarray:
    """Compare F0 (F,) with the pitch marks: log of the marks' F0 over it, 0 where there is none."""
    window = np.hanning(SMOOTHED_PERIODS + 2)[1:-1]
    found = np.zeros(len(f0))
    for part in parts:
        log_f0 = np.log(rate / np.diff(part.times))
        padded = np.pad(log_f0, SMOOTHED_PERIODS // 2, mode="edge")
        smooth = np.convolve(padded, window / window.sum(), mode="valid")
        first, last = part.times[[0, -1]] / hop_length
        frames = np.arange(int(np.ceil(first)), min(int(last), len(f0) - 1) + 1)
        frames = frames[f0[frames] > 0]
        middles = 0.5 * (part.times[1:] + part.times[:-1]) / hop_length
        found[frames] = np.interp(frames, middles, smooth) - np.log(f0[frames])
    return found

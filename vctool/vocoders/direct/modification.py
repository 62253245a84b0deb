"""Pitch and spectral envelope of a recording, changed on its own wave."""

import numpy as np

from vctool.vocoders.direct.pitch_marks import find
from vctool.vocoders.direct.psola import move_pitch
from vctool.vocoders.direct.shaping import shape


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
        moved = np.log(target[both] / source[both])
        ratio = np.exp(np.interp(frames, frames[both], moved))
        result = move_pitch(result, hop_length, find(result, rate, hop_length, source), ratio)
    if gain_db is not None and np.any(gain_db):
        result = shape(result, rate, hop_length, gain_db, frequencies)
    return result.astype(np.float32)

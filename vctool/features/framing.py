"""Sound as a kind of features: every frame holds the samples around its centre, and no other's.

It lines a recording up with its mel and its F0, so that clips of all of them are cut at one place,
and lets a system hand sound itself to the stages after it.
"""

import numpy as np

from vctool.features.settings import FeatureConfig


def frame(wave: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Cut a wave into frames that touch and do not overlap.

    Args:
        wave: (T,) at the config's rate.
        config: the settings.

    Returns:
        (F, hop_length) float32 with F = 1 + T // hop_length; frame k begins with sample
        `k * hop_length - hop_length // 2`, and there are zeros beyond both ends. Up to half a hop
        at the end of the wave is in no frame.
    """
    hop, before = config.hop_length, config.hop_length // 2
    frames = config.frames(len(wave))
    whole = np.zeros(frames * hop, np.float32)
    kept = wave[: frames * hop - before]
    whole[before : before + len(kept)] = kept
    return whole.reshape(frames, hop)


def unframe(frames: np.ndarray, samples: int) -> np.ndarray:
    """Join frames to the wave that they were cut from.

    Args:
        frames: (F, hop_length), as `frame` returns.
        samples: length of the wave; what no frame reaches is zero.

    Returns:
        (samples,) float32.
    """
    wave = np.asarray(frames, np.float32).reshape(-1)[frames.shape[1] // 2 :][:samples]
    return np.pad(wave, (0, samples - len(wave)))

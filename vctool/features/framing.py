"""Waveforms as features: non-overlapping frames, each with the hop of samples around its centre.

This aligns a waveform with its mel and F0, so that clips of all of them are cut at the same place,
and lets a vocoder family write sound where other families write features.
"""

import numpy as np

from vctool.features.settings import FeatureConfig

GRAIN_SECONDS = 0.025
"""Length of the WSOLA grains [s]: at least one period of every voice."""


def frame(wave: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Cut a wave into adjacent frames without overlap.

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
    """Join frames to the wave from which `frame` cut them.

    Args:
        frames: (F, hop_length), as `frame` returns.
        samples: length of the wave; samples beyond the last frame are zero.

    Returns:
        (samples,) float32.
    """
    wave = np.asarray(frames, np.float32).reshape(-1)[frames.shape[1] // 2 :][:samples]
    return np.pad(wave, (0, samples - len(wave)))


def stretch(frames: np.ndarray, positions: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Stretch sound in time and keep its pitch, by WSOLA (Verhelst and Roelands, 1993).

    The output is made of grains that overlap by half. Each is taken within half a grain of its
    nominal time in the input, at the lag that best continues the grain before it. Without
    stretching the output is the input.

    Args:
        frames: (F, hop_length), as `frame` returns.
        positions: (F',) in [0, F - 1], the time in the input of each output frame [frames].
        config: the settings.

    Returns:
        (F', hop_length) float32.
    """
    hop, half = config.hop_length, round(0.5 * GRAIN_SECONDS * config.rate)
    total, margin = len(positions) * hop, 4 * half + hop
    window = 0.5 - 0.5 * np.cos(np.pi * (np.arange(2 * half) + 0.5) / half)
    sound = np.pad(frames.reshape(-1).astype(np.float64), margin)
    # centre of every grain in the output, and its nominal centre in the input
    centres = np.arange(0, total + half, half)
    at = (centres - hop // 2) / hop
    inside = np.clip(at, 0, len(positions) - 1)
    source = np.interp(inside, np.arange(len(positions)), positions) + (at - inside)
    wanted = np.rint(source * hop).astype(int) + hop // 2 + margin
    result = np.zeros(centres[-1] + 2 * half)
    going_on = wanted[0]
    for place, centre in zip(centres, wanted, strict=True):
        taken = centre + _best_lag(sound, going_on, centre, window)
        result[place : place + 2 * half] += window * sound[taken - half : taken + half]
        going_on = taken + half
    return result[half : half + total].reshape(-1, hop).astype(np.float32)


def _best_lag(sound: np.ndarray, going_on: int, centre: int, window: np.ndarray) -> int:
    """Return the lag from `centre` of the grain most similar to the one at `going_on` [samples]."""
    half = len(window) // 2
    around = sound[centre - 2 * half : centre + 2 * half]
    likeness = np.correlate(around, window * sound[going_on - half : going_on + half], mode="valid")
    if going_on == centre or likeness.max() <= 0:
        return 0
    power = np.concatenate([[0.0], np.cumsum(np.square(around))])
    energy = power[2 * half :] - power[: -2 * half]
    return int(np.argmax(likeness / np.sqrt(np.maximum(energy, 1e-12)))) - half

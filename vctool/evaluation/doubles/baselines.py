"""What is used in place of a second take: delay lines, which are the lead again.

    copy            the lead itself
    delay           20 ms later
    chorus          a delay of 20 ms that a sine of 0.8 Hz moves by 3 ms
    tape double     artificial double tracking: 30 ms, moved as slowly and unevenly as a tape runs
    detune          9 cents up, 18 ms later: a harmoniser, two heads that take turns

All are far from second takes in the measures of this task, each in its own way.
"""

from collections.abc import Callable

import numpy as np

from vctool.data.smooth_noise import curve

DELAY_SECONDS = 0.02
CHORUS_SECONDS, CHORUS_DEPTH_SECONDS, CHORUS_HZ = 0.02, 0.003, 0.8
TAPE_SECONDS, TAPE_DEPTH_SECONDS, TAPE_KNOT_SECONDS = 0.03, 0.0035, 0.5
DETUNE_CENTS, DETUNE_SECONDS, HEAD_SECONDS = 9.0, 0.018, 0.04
_SALT = 12


def delay(wave: np.ndarray, rate: int) -> np.ndarray:
    """Delay a wave (T,) by 20 ms."""
    return _read_late(wave, np.full(len(wave), round(DELAY_SECONDS * rate)))


def chorus(wave: np.ndarray, rate: int) -> np.ndarray:
    """Move a delay by a sine."""
    phase = 2 * np.pi * CHORUS_HZ * np.arange(len(wave)) / rate
    return _read_late(wave, rate * (CHORUS_SECONDS + CHORUS_DEPTH_SECONDS * np.sin(phase)))


def tape_double(wave: np.ndarray, rate: int) -> np.ndarray:
    """Move a delay by smooth noise, as a second tape machine does that is not quite steady."""
    wow = curve(np.arange(len(wave)) / rate, TAPE_KNOT_SECONDS, _SALT)
    return _read_late(wave, rate * (TAPE_SECONDS + TAPE_DEPTH_SECONDS * wow))


def detune(wave: np.ndarray, rate: int) -> np.ndarray:
    """Shift the pitch by two reading heads, each silent when it jumps back."""
    drift = 2 ** (DETUNE_CENTS / 1200) - 1
    turn = drift * np.arange(len(wave)) / rate / HEAD_SECONDS
    total = np.zeros(len(wave))
    for head in (0.0, 0.5):
        phase = (turn + head) % 1
        late = DETUNE_SECONDS + HEAD_SECONDS * (0.5 - phase)
        total += np.sin(np.pi * phase) ** 2 * _read_late(wave, rate * late)
    return total


BASELINES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "delay": delay,
    "chorus": chorus,
    "tape double": tape_double,
    "detune": detune,
}
"""By their rows; each maps a wave (T,) and its rate [Hz] to (T,)."""


def _read_late(wave: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Read a wave (T,) so many samples (T,) late; between samples by a cubic (Catmull-Rom)."""
    places = np.arange(len(wave)) - samples
    whole = np.floor(places).astype(int)
    u = places - whole
    padded = np.pad(np.asarray(wave, np.float64), 2)
    a, b, c, d = (padded[np.clip(whole + step + 2, 0, len(padded) - 1)] for step in (-1, 0, 1, 2))
    return b + 0.5 * u * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a)))

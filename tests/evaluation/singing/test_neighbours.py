"""The row of singing for which nothing is learnt: the singers' sound at the formula's pitch."""

from collections.abc import Callable

import numpy as np
from scipy.signal import butter, sosfilt

from vctool.evaluation.singing import baselines, neighbours
from vctool.metrics.pitch import at_scoring_rate, track

RATE = 16000
CHORD = (220.0, 277.2, 329.6)
"""[Hz]."""


def treble_db(wave: np.ndarray) -> float:
    """Level above 3 kHz over that of all [dB]."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    return float(10 * np.log10(power[len(power) * 3 // 8 :].sum() / power.sum()))


def off_the_chord(wave: np.ndarray) -> tuple[float, float]:
    """Return the share that is voiced, and how far that is from the chord in the median [cents]."""
    f0 = track(at_scoring_rate(wave, RATE).astype(np.float64))
    octaves = np.log2(f0[f0 > 0][:, None] / np.array(CHORD))
    apart = 1200 * np.abs(octaves - np.rint(octaves)).min(axis=1)
    return float((f0 > 0).mean()), float(np.median(apart))


def test_it_has_the_sound_of_the_singers_and_the_pitch_of_the_formula(
    say: Callable[..., np.ndarray],
) -> None:
    source = say(1, "low", 2.0)
    muffled = butter(2, 800, output="sos", fs=RATE)
    singing = [sosfilt(muffled, say(one, "high", 3.0)).astype(np.float32) for one in (2, 3)]
    times = np.arange(len(source)) / RATE
    chord = sum(np.sin(2 * np.pi * f * times) for f in CHORD)
    longer = np.array([[0.0, 0.0], [1.0, 1.5]]) * len(source) / RATE
    (made,) = neighbours.sing([source], RATE, singing, [0.1 * chord], time_maps=[longer])
    formula = baselines.build([source], RATE, [0.1 * chord], [source], time_maps=[longer])
    snapped = formula[baselines.SNAP][0]
    assert len(made) == len(snapped) == 1.5 * len(source)  # lengthened as the formula is
    assert treble_db(made) < treble_db(snapped) - 5
    voiced, cents = off_the_chord(made)
    assert voiced > 0.7 and cents < 10
    assert off_the_chord(source)[1] > 40
    (free,) = neighbours.sing([source], RATE, singing, None)
    assert len(free) == len(source)

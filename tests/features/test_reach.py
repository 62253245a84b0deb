"""F0 beyond the settings' range is found, and what only looks like it is not."""

import numpy as np
import pytest

from tests.sounds import sine, speak
from vctool.features.reach import RATE, Reach, beyond, certain_f0

FLOOR, CEIL = 60.0, 600.0


def measured(*waves: np.ndarray) -> np.ndarray:
    return np.concatenate([certain_f0(wave) for wave in waves])


@pytest.mark.parametrize("hz", [45.0, 52.0, 75.0, 120.0, 250.0, 500.0, 700.0, 850.0])
def test_the_f0_of_a_voice_is_measured_whatever_the_settings(hz: float) -> None:
    f0 = measured(speak(0, hz), speak(1, hz))
    assert len(f0) > 350  # of 400 frames
    assert np.median(f0) == pytest.approx(hz, rel=0.06)
    assert (np.abs(np.log2(f0 / hz)) < 0.3).all()  # not one an octave off


def test_a_bass_and_a_soprano_leave_the_range_and_ordinary_voices_do_not() -> None:
    bass = beyond(measured(speak(0, 52.0), speak(1, 55.0)), FLOOR, CEIL)
    assert bass.lowest == pytest.approx(45, abs=4) and bass.highest is None
    soprano = beyond(measured(speak(0, 560.0), speak(1, 850.0)), FLOOR, CEIL)
    assert soprano.highest == pytest.approx(970, abs=40) and soprano.lowest is None
    both = beyond(measured(speak(0, 50.0), speak(1, 850.0)), FLOOR, CEIL)
    assert all(both)
    for hz in (90.0, 120.0, 220.0, 400.0):
        assert beyond(measured(speak(0, hz), speak(1, hz)), FLOOR, CEIL) == Reach(None, None)


def test_hum_noise_and_silence_are_no_voices() -> None:
    speech = speak(0, 150.0, 3.0)
    hum = 0.05 * sum(sine(3.0, 50.0 * k, peak=1.0) / k**2 for k in (1, 2, 3))
    assert beyond(certain_f0(speech + hum), FLOOR, CEIL) == Reach(None, None)
    noise = 0.1 * np.random.default_rng(0).standard_normal(3 * RATE)
    assert beyond(certain_f0(noise), FLOOR, CEIL) == Reach(None, None)
    assert not len(certain_f0(np.zeros(RATE))) and not len(certain_f0(noise[:800]))


def test_the_level_of_a_recording_does_not_matter() -> None:
    wave = speak(0, 700.0)
    np.testing.assert_allclose(certain_f0(1e-3 * wave), certain_f0(wave), rtol=1e-6)

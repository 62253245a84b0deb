import numpy as np
import pytest

from tests.sounds import sine
from vctool.audio import loudness


def test_pauses_change_the_rms_and_not_the_active_level() -> None:
    wave = sine(2.0, 200, peak=0.5)
    paused = np.concatenate([wave, np.zeros(6 * 16000, "f4")])
    assert loudness.level_db(wave, 16000) == pytest.approx(
        20 * np.log10(0.5 / np.sqrt(2)), abs=0.01
    )
    assert loudness.level_db(paused, 16000) == pytest.approx(
        loudness.level_db(wave, 16000), abs=0.1
    )
    assert loudness.rms_db(paused) == pytest.approx(loudness.rms_db(wave) - 6.02, abs=0.01)


@pytest.mark.parametrize("block", [1, 100, 7001])
def test_the_level_does_not_depend_on_the_blocks(block: int) -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, 8000).astype("f4")
    meter = loudness.LevelMeter(8000)
    for start in range(0, len(wave), block):
        meter.add(wave[start : start + block])
    assert meter.level_db == pytest.approx(loudness.level_db(wave, 8000), abs=1e-6)


def test_matching_reaches_the_target_and_never_clips() -> None:
    wave = sine(1.0, 200, peak=0.1)
    matched = loudness.match_level(wave, 16000, -20.0)
    assert loudness.level_db(matched, 16000) == pytest.approx(-20.0, abs=0.01)
    assert np.abs(loudness.match_level(wave, 16000, 10.0)).max() == pytest.approx(0.99, abs=1e-3)


def test_the_gain_between_two_levels_stops_short_of_clipping() -> None:
    assert loudness.matching_gain(-26.0, -20.0, 0.1) == pytest.approx(10 ** (6 / 20))
    assert loudness.matching_gain(-26.0, -20.0) == pytest.approx(10 ** (6 / 20))
    assert loudness.matching_gain(-20.0, -26.0, 1.2) == pytest.approx(10 ** (-6 / 20))
    assert loudness.matching_gain(-26.0, -20.0, 0.9) == pytest.approx(loudness.PEAK / 0.9)
    assert loudness.matching_gain(-26.0, loudness.SILENCE_DB, 0.9) == 1.0
    assert loudness.matching_gain(loudness.SILENCE_DB, -20.0, 0.0) == 1.0


def test_silence_and_very_short_waves_have_a_level_and_are_left_alone() -> None:
    silence = np.zeros(8000, "f4")
    assert loudness.level_db(silence, 8000) == loudness.SILENCE_DB
    assert loudness.level_db(np.empty(0, "f4"), 8000) == loudness.SILENCE_DB
    assert loudness.level_db(np.array([0.1, -0.1, 0.1], "f4"), 8000) == pytest.approx(-20.0, abs=1)
    assert np.array_equal(loudness.match_level(silence, 8000, -20.0), silence)
    wave = sine(0.1, 200, 8000, 0.1)
    assert loudness.match_level(wave, 8000, loudness.SILENCE_DB) is wave


@pytest.mark.parametrize("offset", [0.01, 0.1, -0.5])
@pytest.mark.parametrize("level", [-20.0, -40.0, -62.0])
def test_offset_and_rumble_are_no_level(offset: float, level: float) -> None:
    moments = np.arange(32000) / 16000
    voice = np.sin(2 * np.pi * 150 * moments) * np.sqrt(2) * 10 ** (level / 20)
    assert loudness.level_db(voice, 16000) == pytest.approx(level, abs=0.1)
    assert loudness.level_db(voice + offset, 16000) == pytest.approx(level, abs=0.1)
    rumble = 0.3 * 10 ** (level / 20) * np.sin(2 * np.pi * 12 * moments)
    assert loudness.level_db(voice + rumble, 16000) == pytest.approx(level, abs=0.1)


@pytest.mark.parametrize("level", [-20.0, -50.0, -65.0, -80.0])
def test_gates_follow_soft_recordings(level: float) -> None:
    rng = np.random.default_rng(0)
    voice = rng.standard_normal(16000)
    paused = np.concatenate([voice, 1e-3 * rng.standard_normal(48000)])
    scale = 10 ** (level / 20)
    own = loudness.level_db(scale * voice, 16000)
    assert own == pytest.approx(level, abs=0.3)
    assert loudness.level_db(scale * paused, 16000) == pytest.approx(own, abs=0.1)


def test_the_meter_takes_blocks_of_any_length() -> None:
    wave = np.random.default_rng(0).standard_normal(20000) + 3.0
    meter = loudness.LevelMeter(16000)
    for block in np.array_split(wave, [1, 1, 500, 7777, 7800]):
        meter.add(block)
    assert meter.level_db == pytest.approx(loudness.level_db(wave, 16000), abs=1e-9)

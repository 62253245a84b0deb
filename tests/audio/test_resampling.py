"""Resampling: in time, in level, without aliases, and the same in one piece or in many."""

import numpy as np
import pytest

from vctool import audio
from vctool.audio.resampling import resample, resample_stream


def tone(seconds: float, rate: int, hz: float = 440.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype("f4")


@pytest.mark.parametrize(("old", "new"), [(44100, 16000), (16000, 44100), (48000, 22050)])
def test_resampling_keeps_a_tone_in_time_and_level_and_lets_no_alias_through(
    old: int, new: int
) -> None:
    inner = slice(new // 10, -new // 10)
    kept = audio.resample(tone(1.0, old), old, new)
    assert len(kept) == new
    assert np.abs(kept - tone(1.0, new))[inner].max() < 1e-3
    if new < old:
        above = audio.resample(tone(1.0, old, 0.47 * old), old, new)
        assert audio.rms_db(above[inner]) < -90


@pytest.mark.parametrize(("old", "new"), [(44100, 16000), (16000, 44100), (48000, 22050), (8, 8)])
@pytest.mark.parametrize("samples", [1, 20, 4795, 48000])
@pytest.mark.parametrize("parts", [1, 11])
def test_a_stream_is_resampled_like_the_whole(old: int, new: int, samples: int, parts: int) -> None:
    wave = np.random.default_rng(0).normal(size=samples).astype(np.float32)
    whole = resample(wave, old, new)
    assert len(whole) == audio.resampled_length(samples, old, new)
    streamed = np.concatenate(list(resample_stream(np.array_split(wave, parts), old, new)))
    assert streamed.dtype == np.float32
    np.testing.assert_array_equal(streamed, whole)

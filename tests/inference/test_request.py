from typing import Any

import numpy as np
import pytest

from vctool.errors import AudioError
from vctool.inference.request import require_rate, to_mono

WAVE = 0.5 * np.sin(np.arange(4000) / 9)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero"),
    [
        ("i1", 127, 0),
        ("i2", 32767, 0),
        ("i4", 2**31 - 1, 0),
        ("i8", 32767, 0),
        ("i8", 2**23 - 1, 0),
        ("i8", 2**31 - 1, 0),
        ("u1", 127, 128),
        ("u2", 32767, 32768),
        ("f2", 1, 0),
        ("f4", 1, 0),
        ("f8", 1, 0),
    ],
)
@pytest.mark.parametrize("channels", [0, 1, 2])
def test_samples_of_any_kind_mean_the_same(
    dtype: str, scale: int, zero: int, channels: int
) -> None:
    samples = WAVE * scale + zero
    wave = (np.rint(samples) if scale > 1 else samples).astype(dtype)
    if channels:
        wave = np.stack([wave] * channels, 1)
    found = to_mono(wave, "wave", 16000)
    assert found.dtype == np.float32 and found.shape == WAVE.shape
    assert np.abs(found - WAVE).max() < 0.02


@pytest.mark.parametrize("rate", [44100, 44100.0, np.int64(8000), np.float32(8000), np.int16(8000)])
def test_rates_of_any_kind_of_number_are_taken(rate: Any) -> None:
    assert require_rate(rate, "rate") == int(rate) and type(require_rate(rate, "rate")) is int


@pytest.mark.parametrize("rate", [44100.5, 0, -1, 999, 1e9, float("nan"), float("inf"), True])
def test_what_is_no_rate_is_named(rate: Any) -> None:
    with pytest.raises(AudioError, match="rate: a rate of "):
        require_rate(rate, "rate")


@pytest.mark.parametrize(
    ("wave", "said"),
    [
        (np.full(4000, 2**40), "more than 32 bits"),
        (WAVE.astype(complex), "samples are complex128"),
        (WAVE > 0, "samples are bool"),
        (np.where(np.arange(4000) == 7, 1e20, WAVE), "holds a sample of 1e"),
        (np.where(np.arange(4000) == 7, np.nan, WAVE), "NaN"),
    ],
)
def test_what_is_no_sound_is_named(wave: np.ndarray, said: str) -> None:
    with pytest.raises(AudioError, match=said):
        to_mono(wave, "wave", 16000)


def test_a_voice_in_opposite_channels_is_not_lost(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    found = to_mono(np.stack([WAVE, -WAVE], 1), "wave", 16000)
    assert np.abs(found - WAVE).max() < 1e-6
    assert "wave: channel 1 of 2 is taken" in caplog.text

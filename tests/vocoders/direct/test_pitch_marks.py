import numpy as np
import pytest

from tests.sounds import speak
from vctool.vocoders.direct.pitch_marks import find

RATE, HOP = 16000, 80


def glottal(moments: np.ndarray, samples: int, formant: float = 700.0) -> np.ndarray:
    """Lay a decaying resonance at every moment [samples], which may lie between samples: (T,)."""
    wave = np.zeros(samples)
    for moment in moments:
        at = np.arange(int(np.ceil(moment)), min(samples, int(moment) + 400))
        away = at - moment
        wave[at] += np.exp(-away / 40) * np.sin(2 * np.pi * formant * away / RATE)
    return wave


def glide(seconds: float, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the pulses [samples] of a voice that glides from one F0 to another, and F0 (F,)."""
    times = np.arange(round(seconds * RATE))
    f0 = low * (high / low) ** (times / len(times))
    phase = np.cumsum(f0) / RATE
    return np.interp(np.arange(1, int(phase[-1])), phase, times), f0[::HOP]


def places(marks: np.ndarray, pulses: np.ndarray) -> np.ndarray:
    """Return where each mark lies between the pulses around it: (N,) [periods]."""
    before = np.searchsorted(pulses, marks, side="right") - 1
    return np.asarray((marks - pulses[before]) / (pulses[before + 1] - pulses[before]))


@pytest.mark.parametrize("wrong", [1.0, 0.95, 1.05])
@pytest.mark.parametrize("ends", [(90.0, 130.0), (220.0, 400.0)])
def test_marks_follow_the_pulses_between_samples(ends: tuple[float, float], wrong: float) -> None:
    pulses, f0 = glide(1.0, *ends)
    (part,) = find(glottal(pulses, RATE), RATE, HOP, wrong * f0)
    inner = part.times[5:-5]
    assert len(inner) >= len(pulses) - 14
    assert (np.diff(inner) > np.diff(pulses).min() - 1).all()
    assert (np.diff(inner) < np.diff(pulses).max() + 1).all()
    found = places(inner, pulses)
    # At one place of every period, which moves slowly with the length of the period.
    assert 0.2 < found.min() and found.max() < 0.6
    assert np.abs(np.diff(found)).max() < 0.004  # a third of a sample


def test_a_missing_fundamental_does_not_matter() -> None:
    time = np.arange(RATE) / RATE
    wave = sum(np.cos(2 * np.pi * 120 * k * time + 0.3 * k) for k in range(4, 12))
    (part,) = find(wave, RATE, HOP, np.full(RATE // HOP + 1, 120.0))
    np.testing.assert_allclose(np.diff(part.times[8:-8]), RATE / 120, atol=0.1)


def test_noise_and_silence_have_no_marks_whatever_f0_says() -> None:
    f0 = np.full(201, 150.0)
    noise = np.random.default_rng(0).standard_normal(RATE)
    inside = sum(len(part.times) for part in find(noise, RATE, HOP, f0))
    assert inside < 0.1 * 150
    assert find(np.zeros(RATE), RATE, HOP, f0) == []
    assert find(noise, RATE, HOP, np.zeros(201)) == []


def test_parts_are_apart_and_followed_a_little_beyond_the_voiced_frames() -> None:
    wave = speak(1, 130.0, 2.0)
    f0 = np.full(401, 130.0)
    f0[:40] = f0[190:210] = f0[360:] = 0
    parts = find(wave, RATE, HOP, f0)
    assert len(parts) == 2
    first, second = (part.times for part in parts)
    assert first[-1] < second[0]
    assert 40 * HOP - 0.06 * RATE < first[0] < 40 * HOP - 0.02 * RATE
    assert 359 * HOP + 0.02 * RATE < second[-1] < 360 * HOP + 0.06 * RATE
    for times in (first, second):
        assert (np.diff(times) > 0.6 * RATE / 130).all()
        assert (np.diff(times) < 1.6 * RATE / 130).all()


def test_neither_the_polarity_nor_the_level_matters() -> None:
    pulses, f0 = glide(0.5, 110, 160)
    wave = glottal(pulses, RATE // 2)
    (one,) = find(wave, RATE, HOP, f0)
    (other,) = find(-0.01 * wave, RATE, HOP, f0)
    np.testing.assert_allclose(one.times, other.times, atol=1e-6)


def test_hum_and_offset_do_not_matter() -> None:
    pulses, f0 = glide(1.0, 140, 180)
    wave = glottal(pulses, RATE)
    (clean,) = find(wave, RATE, HOP, f0)
    hum = 0.5 + np.sin(2 * np.pi * 50 * np.arange(RATE) / RATE)  # 16 dB above the voice
    (found,) = find(wave + hum, RATE, HOP, f0)
    apart = np.abs(found.times[:, None] - clean.times).min(axis=1)
    assert np.abs(apart - np.median(apart)).max() < 0.1 * RATE / 160

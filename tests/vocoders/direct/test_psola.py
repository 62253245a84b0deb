import numpy as np
import pytest

from tests.sounds import speak
from tests.toy import FEATURES
from vctool.features import world
from vctool.vocoders.direct.pitch_marks import find
from vctool.vocoders.direct.psola import move_pitch

RATE, HOP = FEATURES.rate, FEATURES.hop_length


def vowel(seconds: float = 1.0, hz: float = 150.0) -> tuple[np.ndarray, np.ndarray]:
    """Return a voice that sounds throughout, and its F0 (F,)."""
    wave = speak(4, hz, seconds)
    return wave, world.estimate_f0(wave, FEATURES)


def moved(wave: np.ndarray, f0: np.ndarray, ratio: float) -> np.ndarray:
    return move_pitch(wave, HOP, find(wave, RATE, HOP, f0), np.full(len(f0), ratio))


def decibels(wave: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(wave))))


def test_marks_that_stay_give_back_the_sound() -> None:
    wave, f0 = vowel()
    np.testing.assert_allclose(moved(wave, f0, 1.0), wave, atol=1e-12)


@pytest.mark.parametrize("semitones", [-12, -7, -3, -1, 1, 3, 7, 12])
def test_ladder_of_pitch(semitones: int) -> None:
    """F0 as asked to some cents; level, formants and peaks as they were."""
    wave, f0 = vowel()
    made = moved(wave, f0, 2 ** (semitones / 12))
    heard = world.estimate_f0(made, FEATURES)
    both = (f0 > 0) & (heard > 0)
    both[:5] = both[-5:] = False
    assert both.sum() > 0.85 * (f0 > 0).sum()
    cents = 1200 * np.log2(heard[both] / f0[both]) - 100 * semitones
    assert abs(np.median(cents)) < 3
    assert np.percentile(np.abs(cents), 90) < 25
    before = world.analyse_envelope(wave, FEATURES, f0)
    after = world.analyse_envelope(made, FEATURES, f0 * 2 ** (semitones / 12))
    change = world.envelope_gain_db(after - before, FEATURES)[both]
    hertz = np.linspace(0, RATE / 2, change.shape[1])
    # Below its F0 a voice has no envelope.
    formants = (hertz > 1.3 * 150 * max(1, 2 ** (semitones / 12))) & (hertz < 4000)
    assert np.abs(np.median(change[:, formants], axis=0)).max() < 4
    # The fundamental alone holds much of the power; the new one lies elsewhere on the envelope.
    assert abs(decibels(made) - decibels(wave)) < 0.6 + 0.2 * abs(semitones)
    assert np.abs(made).max() < 1.6 * np.abs(wave).max()
    # A click would be a leap that the wave itself does not have.
    assert np.abs(np.diff(made, 2)).max() < 1.6 * np.abs(np.diff(wave, 2)).max()


@pytest.mark.parametrize("ratio", [1e-3, 0.3, 3.5, 1e3])
def test_beyond_an_octave_it_stays_a_sound(ratio: float) -> None:
    wave, f0 = vowel(0.5)
    made = moved(wave, f0, ratio)
    assert np.isfinite(made).all()
    assert abs(decibels(made) - decibels(wave)) < 6
    assert np.abs(made).max() < 4 * np.abs(wave).max()


def test_what_is_not_voiced_is_copied_to_the_sample() -> None:
    wave, f0 = vowel(0.5)
    noise = 0.1 * np.random.default_rng(1).standard_normal(RATE // 2)
    both = np.concatenate([noise, wave, noise])
    silent = np.zeros(len(noise) // HOP)
    made = moved(both, np.concatenate([silent, f0[:-1], silent, [0.0]]), 1.5)
    far = len(noise) - round(0.07 * RATE)
    np.testing.assert_allclose(made[:far], both[:far], atol=1e-14)
    np.testing.assert_allclose(made[-far:], both[-far:], atol=1e-14)
    assert np.abs(made - both)[len(noise) : -len(noise)].max() > 0.05
    level = decibels(made[len(noise) : -len(noise)]) - decibels(wave)
    assert abs(level) < 2.5


def test_grains_move_by_fractions_of_a_sample() -> None:
    """Whole samples would spread the upper harmonics of a steady tone into noise."""
    time = np.arange(RATE) / RATE
    wave = sum(np.cos(2 * np.pi * 250 * k * time) for k in range(1, 25))
    made = moved(wave, np.full(RATE // HOP + 1, 250.0), 1.1)
    spectrum = np.abs(np.fft.rfft(made[4000:12000] * np.hanning(8000))) ** 2
    hertz = np.arange(len(spectrum)) * 2
    high = (hertz > 4000) & (hertz < 5500)
    tonal = np.abs(hertz - 275 * np.rint(hertz / 275)) < 20
    assert 10 * np.log10(spectrum[high & tonal].sum() / spectrum[high & ~tonal].sum()) > 35


def test_creak_keeps_its_level_and_its_irregular_pulses() -> None:
    """Pulses at uneven distances, where an F0 is claimed all the same."""
    rng = np.random.default_rng(2)
    places = np.cumsum(rng.uniform(250, 500, 30)).astype(int)
    wave = np.zeros(RATE)
    wave[places[places < RATE - 200]] = 1.0
    ring = np.exp(-np.arange(160) / 30) * np.cos(0.3 * np.arange(160))
    wave = np.convolve(wave, ring)[:RATE]
    made = moved(wave, np.full(RATE // HOP + 1, 45.0), 1.8)
    assert abs(decibels(made) - decibels(wave)) < 3
    assert np.abs(made).max() < 2 * np.abs(wave).max()

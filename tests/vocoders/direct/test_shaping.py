import numpy as np
import pytest

from tests.sounds import sine
from vctool.vocoders.direct.shaping import MARGIN_DB, hold_level, shape

RATE, HOP = 16000, 80
NOISE = 0.1 * np.random.default_rng(0).standard_normal(RATE)
FRAMES = RATE // HOP + 1


@pytest.mark.parametrize("rate, hop", [(16000, 80), (22050, 256), (44100, 512)])
def test_gains_of_0_db_give_back_the_sound(rate: int, hop: int) -> None:
    sound = NOISE[: 9000 + hop // 3]
    made = shape(sound, rate, hop, np.zeros((len(sound) // hop + 1, 40)))
    np.testing.assert_allclose(made, sound, atol=1e-14)


def test_a_flat_gain_is_a_factor() -> None:
    made = shape(NOISE, RATE, HOP, np.full((FRAMES, 5), 20 * np.log10(3)))
    np.testing.assert_allclose(made, 3 * NOISE, rtol=1e-9)


@pytest.mark.parametrize("hz", [200.0, 1000.0, 3000.0, 6500.0])
def test_every_frequency_has_the_gain_of_the_curve(hz: float) -> None:
    frequencies = np.array([100.0, 400.0, 1500.0, 4000.0, 7000.0])  # as wide apart as on mel
    curve = np.array([-6.0, 9.0, 0.0, -12.0, 3.0])
    tone = sine(1.0, hz)
    made = shape(tone, RATE, HOP, np.tile(curve, (FRAMES, 1)), frequencies)
    gain_db = 20 * np.log10(made[4000:12000].std() / tone[4000:12000].std())
    assert gain_db == pytest.approx(np.interp(hz, frequencies, curve), abs=0.3)


def test_the_response_is_of_minimum_phase() -> None:
    """The gain of 1 / (1 - 0.9 / z) alone is enough to give its response, 0.9**n; none before."""
    bins = np.exp(-1j * np.pi * np.arange(257) / 256)
    curve = -20 * np.log10(np.abs(1 - 0.9 * bins))
    impulse = np.zeros(2000)
    impulse[1000] = 1.0
    made = shape(impulse, RATE, HOP, np.tile(curve, (26, 1)))
    np.testing.assert_allclose(made[1000:1100], 0.9 ** np.arange(100), atol=1e-3)
    assert np.abs(made[:1000]).max() < 1e-3


def test_gains_move_smoothly_from_frame_to_frame() -> None:
    gains = np.repeat(np.where(np.arange(FRAMES) < FRAMES // 2, 0.0, 12.0)[:, None], 3, axis=1)
    made = shape(np.ones(RATE), RATE, HOP, gains)
    assert np.diff(made[2000:-2000]).min() > -1e-9  # rises without ripple
    assert np.abs(np.diff(made)).max() < 2.5 * 3 / HOP
    middle = FRAMES // 2 * HOP
    assert made[middle - HOP] == pytest.approx(1.0)
    assert made[middle] == pytest.approx(10 ** (12 / 20))


def test_gains_are_limited_and_held_at_the_end() -> None:
    made = shape(NOISE, RATE, HOP, np.repeat([[-300.0], [0.0], [300.0]], 4, axis=1))
    np.testing.assert_allclose(made[2 * HOP :], 100 * NOISE[2 * HOP :], rtol=1e-9)
    assert made[0] == pytest.approx(0.01 * NOISE[0])
    assert not shape(np.zeros(500), RATE, HOP, np.full((7, 4), 30.0)).any()


def test_a_burst_is_turned_down_and_the_rest_is_as_it_was() -> None:
    expected = np.full(FRAMES, 6.0)
    shaped = 2 * NOISE
    burst = slice(100 * HOP, 102 * HOP)
    shaped[burst] *= 10
    made = hold_level(shaped, NOISE, HOP, expected)
    louder = 20 * np.log10(made[burst].std() / NOISE[burst].std())
    assert louder == pytest.approx(6.0 + MARGIN_DB, abs=2.0)
    assert np.array_equal(made[: 95 * HOP], shaped[: 95 * HOP])
    assert np.array_equal(made[107 * HOP :], shaped[107 * HOP :])


def test_what_rings_between_two_periods_is_left() -> None:
    pulses, sounding = np.zeros(RATE), np.zeros(RATE)
    pulses[::160] = 1.0
    for place in range(0, RATE, 160):
        sounding[place : place + 100] = 0.95 ** np.arange(100)
    sounding *= pulses.std() / sounding.std()
    assert np.array_equal(hold_level(sounding, pulses, HOP, np.zeros(FRAMES)), sounding)


def test_gains_that_swing_do_not_burst() -> None:
    """As from a vowel's envelope to a sibilant's in 40 ms: no band is louder than it was asked for.

    In bands of 2 kHz over 4 ms, against a filter that stands still at the gain of every moment.
    """
    bins = np.linspace(0, RATE / 2, 129)
    vowel = 15.0 - 45.0 * np.minimum(bins / 4000, 1.0)
    sibilant = -20.0 + 25.0 * np.minimum(bins / 4000, 1.0)
    share = np.interp(np.arange(FRAMES) % 40, [0, 12, 20, 32, 40], [0, 0, 1, 1, 0])[:, None]
    made = shape(NOISE, RATE, HOP, (1 - share) * vowel + share * sibilant)
    still = {
        place: shape(NOISE, RATE, HOP, np.tile(g, (FRAMES, 1)))
        for place, g in (
            (place, (1 - place) * vowel + place * sibilant) for place in np.linspace(0, 1, 9)
        )
    }
    for low in range(0, 8000, 2000):
        got = short_time_level(made, low)
        asked = np.stack([short_time_level(one, low) for one in still.values()])
        moment = np.interp(np.arange(got.size) * 64 / HOP, np.arange(FRAMES), share[:, 0])
        near = np.abs(np.array(list(still))[:, None] - moment) <= 0.3
        over = got - np.where(near, asked, -np.inf).max(axis=0)
        assert over[10:-10].max() < 3.0


def short_time_level(sound: np.ndarray, low: float) -> np.ndarray:
    """Measure the level of 2 kHz from `low` [Hz] up, in windows of 8 ms, every 4 ms: (K,) [dB]."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, 128)[::64] * np.hanning(128)
    power = np.abs(np.fft.rfft(frames)) ** 2
    inside = slice(int(low / RATE * 128), int((low + 2000) / RATE * 128))
    return np.asarray(10 * np.log10(power[:, inside].sum(axis=1) + 1e-12))

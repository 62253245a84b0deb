"""What families between voices do to envelopes."""

import numpy as np
import pytest

from vctool.features import world
from vctool.features.envelopes import at_loudness, levelled, smoothed, varied, without_noise
from vctool.features.settings import FeatureConfig

FEATURES = FeatureConfig(rate=16000, hop_length=160, envelope_dim=25, envelope_coding="mcep")
RATE = 100.0
"""Frames per second."""


@pytest.mark.parametrize("half_width", [0.0, 0.4, 3.5, 40.0])
def test_smoothing_keeps_constants_and_the_middle_of_a_step(half_width: float) -> None:
    np.testing.assert_allclose(smoothed(np.full((20, 2), 3.0), half_width), 3.0)
    step = smoothed(np.repeat([0.0, 1.0], 50)[:, None], half_width)[:, 0]
    assert (np.diff(step) >= -1e-12).all()
    np.testing.assert_allclose(0.5 * (step[49] + step[50]), 0.5, atol=1e-9)


def test_a_blurred_envelope_gets_the_spread_of_a_voice_and_keeps_its_mean() -> None:
    random = np.random.default_rng(0)
    made = random.normal(3.0, 0.7, (6000, 5))
    wanted = np.array([9.0, 1.0, 0.8, 0.7, 0.5])
    out = made + varied(made, np.ones(6000, bool), wanted, RATE)
    np.testing.assert_allclose(out[:, 1:].std(axis=0), wanted[1:], rtol=0.02)
    np.testing.assert_allclose(out.mean(axis=0), made.mean(axis=0), atol=1e-9)
    np.testing.assert_array_equal(out[:, 0], made[:, 0])  # the level is the sentence's


def test_pauses_and_scraps_are_left_nearly_alone() -> None:
    made = np.tile([[0.3], [-0.3]], (200, 4))
    active = np.zeros(400, bool)
    active[:200] = True
    more = varied(made, active, np.ones(4), RATE)
    assert not more[210:].any()
    fading = np.abs(more[190:210, 1])
    assert fading[0] > 0.1 and (np.diff(fading) <= 0).all()
    assert np.diff(fading).min() > -0.4 * fading[0]  # no step
    few = np.zeros(400, bool)
    few[:3] = True
    assert np.abs(varied(made, few, np.ones(4), RATE)).max() < 0.2 * np.abs(more).max()
    # one frame has no spread, and none is made up
    few[1:3] = False
    assert np.isfinite(varied(made, few, np.ones(4), RATE)).all()


def bump(hz: float, width: float, db: float) -> np.ndarray:
    """The code (1, 25) of a hill in the spectrum."""
    bins = np.linspace(0, FEATURES.rate / 2, 1 + world.fft_size(FEATURES) // 2)
    return world.code_envelope(
        10 ** (db * np.exp(-(((bins - hz) / width) ** 2)) / 10)[None], FEATURES
    )


def test_what_is_taken_from_one_band_does_not_raise_all_others() -> None:
    """A vowel has nearly all of its power in the first formant."""
    own = bump(500, 250, 35)
    change = bump(500, 250, -15)
    change[:, 0] = 0
    power = [10 * np.log10(world.decode_envelope(x, FEATURES).mean()) for x in (own, own + change)]
    by_power = world.envelope_gain_db(change, FEATURES)[0, 300] + power[0] - power[1]
    by_loudness = world.envelope_gain_db(at_loudness(own, change, FEATURES), FEATURES)[0, 300]
    assert by_power > 9 and by_loudness < 0.6 * by_power


def test_a_sibilant_whose_band_is_raised_does_not_burst() -> None:
    own, change = bump(6000, 900, 40), bump(6000, 900, 15)
    change[:, 0] = 0
    level = [
        10 * np.log10(world.decode_envelope(own + one, FEATURES).mean())
        for one in (0 * change, change, at_loudness(own, change, FEATURES))
    ]
    assert level[1] - level[0] > 8 and level[2] - level[0] < 0.6 * (level[1] - level[0])


def test_loudness_does_not_depend_on_the_level_of_a_recording() -> None:
    random = np.random.default_rng(2)
    own, change = (random.standard_normal((30, 25)) / np.arange(1, 26) for _ in range(2))
    shifted = at_loudness(own, change, FEATURES)
    louder = own + 3.0 * np.eye(1, 25)
    np.testing.assert_allclose(at_loudness(louder, change, FEATURES), shifted)
    np.testing.assert_allclose(at_loudness(own, change + np.eye(1, 25), FEATURES), shifted)
    np.testing.assert_allclose(shifted[:, 1:], change[:, 1:])


def test_noise_is_not_raised_but_may_be_lowered() -> None:
    loud = np.arange(400) % 100 < 60
    own = np.where(loud[:, None], 6.0, 0.0) * np.eye(1, 25)  # 52 dB apart
    for db in (12.0, -12.0):
        change = np.repeat(bump(5000, 1500, db), 400, axis=0)
        kept = without_noise(own, change, FEATURES, 15.0)
        inside = np.convolve(loud, np.ones(9), "same") % 9 == 0
        pause, voice = inside & ~loud, inside & loud
        np.testing.assert_allclose(kept[voice], change[voice], atol=1e-9)
        left = world.envelope_gain_db(kept[pause], FEATURES)
        asked = world.envelope_gain_db(change[pause], FEATURES)
        np.testing.assert_allclose(left, np.minimum(asked, 0), atol=0.3)
    np.testing.assert_array_equal(without_noise(own, change, FEATURES, 0.0), change)


def test_a_held_vowel_is_not_taken_for_noise() -> None:
    own = np.repeat(bump(500, 250, 35), 300, axis=0)
    change = np.repeat(bump(3000, 800, 12), 300, axis=0)
    np.testing.assert_allclose(without_noise(own, change, FEATURES, 15.0), change, atol=1e-9)


def test_a_frame_is_as_loud_as_asked_between_its_own_loudness_and_the_targets() -> None:
    random = np.random.default_rng(3)
    own, change = (random.standard_normal((30, 25)) / np.arange(1, 26) for _ in range(2))
    kept, half, asked = (levelled(own, change, FEATURES, share, 0.0) for share in (0, 0.5, 1))
    np.testing.assert_allclose(kept, at_loudness(own, change, FEATURES))
    np.testing.assert_allclose(asked, change, atol=1e-9)
    np.testing.assert_allclose(half, 0.5 * (kept + asked))
    spared = levelled(own, change, FEATURES, 0.5, 15.0)
    np.testing.assert_allclose(spared, without_noise(own, half, FEATURES, 15.0))
    assert np.abs(change[:, 0]).min() > 0  # the wish is not changed in place

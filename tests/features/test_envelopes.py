"""What families between voices do to envelopes."""

import numpy as np
import pytest

from vctool.features import world
from vctool.features.envelopes import at_level, smoothed, varied
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


def test_every_frame_keeps_its_power() -> None:
    random = np.random.default_rng(1)
    own = random.standard_normal((30, 25)) / np.arange(1, 26)
    change = random.standard_normal((30, 25)) / np.arange(1, 26)
    change[:, 0] = 0
    out = own + at_level(own, change, FEATURES)
    before, after = (world.decode_envelope(one, FEATURES).mean(axis=1) for one in (own, out))
    np.testing.assert_allclose(after, before, rtol=1e-6)
    np.testing.assert_allclose(out[:, 1:], own[:, 1:] + change[:, 1:])

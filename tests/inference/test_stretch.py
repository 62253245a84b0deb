"""Stretching: exact lengths, identity at 1, and vowels that bear the lengthening."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vctool.features.settings import FeatureConfig
from vctool.inference.stretch import resample, warp


def test_a_stretch_of_one_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    voiced = rng.random(50) < 0.5
    plan = warp(voiced, [0, 49.3], [0, 49.3])
    features = {"mel": rng.normal(size=(50, 8)).astype(np.float32)}
    same = resample(features, plan.positions(50, 50), FeatureConfig())
    np.testing.assert_allclose(same["mel"], features["mel"], atol=1e-5)


def test_voiced_frames_lengthen_and_unvoiced_ones_keep_their_length() -> None:
    voiced = np.zeros(200, bool)
    voiced[50:150] = True
    plan = warp(voiced, [0, 200], [0, 300])
    # The pause before the vowel lasts as long as before; the vowel takes all of the stretch.
    assert np.interp(45, plan.knots_in, plan.knots_out) == pytest.approx(45, abs=0.5)
    vowel = np.diff(np.interp([55, 145], plan.knots_in, plan.knots_out))[0]
    assert vowel == pytest.approx(90 * 2, rel=0.03)


def test_shortening_also_spares_consonants() -> None:
    voiced = np.zeros(200, bool)
    voiced[50:150] = True
    plan = warp(voiced, [0, 200], [0, 150])
    assert np.interp(45, plan.knots_in, plan.knots_out) == pytest.approx(45, abs=0.5)


def test_too_little_voice_spreads_the_rest_evenly() -> None:
    voiced = np.zeros(200, bool)
    voiced[100:104] = True
    plan = warp(voiced, [0, 200], [0, 400])
    rates = np.diff(plan.knots_out) / np.diff(plan.knots_in)
    assert rates.max() <= 3.0 * 2.0
    assert plan.knots_out[-1] == 400


def test_f0_never_glides_to_zero() -> None:
    world = np.zeros((6, 4), np.float32)
    world[:3, 0] = [100, 110, 120]
    out = resample({"world": world}, np.linspace(0, 5, 41), FeatureConfig())["world"][:, 0]
    assert np.all((out == 0) | (out >= 99.99))
    assert out[4] == pytest.approx(np.sqrt(100 * 110), rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    frames=st.integers(1, 80),
    stretch=st.floats(0.25, 4.0),
    rest=st.floats(0.0, 0.99),
)
def test_every_anchor_is_hit_and_time_never_runs_back(
    seed: int, frames: int, stretch: float, rest: float
) -> None:
    voiced = np.random.default_rng(seed).random(frames) < 0.6
    end = frames - 1 + max(rest, 0.01)
    middle = frames // 2
    inner = [float(middle)] if 0 < middle < end else []
    anchors = [0.0, *inner, end]
    plan = warp(voiced, anchors, [stretch * a for a in anchors])
    assert np.all(np.diff(plan.knots_out) > 0)
    for anchor in anchors:
        assert np.interp(anchor, plan.knots_in, plan.knots_out) == pytest.approx(stretch * anchor)
    positions = plan.positions(1 + int(stretch * end), frames)
    assert np.all(np.diff(positions) >= 0) and positions[-1] <= frames - 1

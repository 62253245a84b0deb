"""What is measured of takes beside their leads."""

from dataclasses import replace

import numpy as np
import pytest

from tests.sounds import speak
from vctool.evaluation.doubles.baselines import BASELINES
from vctool.inference.double import Doubler, DoubleSettings
from vctool.metrics import take_distance, take_movement, take_sum
from vctool.metrics.base import Group, Row
from vctool.metrics.pitch import RATE
from vctool.metrics.voice_analysis import analyse_all


def lead(seed: int, hz: float) -> np.ndarray:
    """Make two phrases with pauses around them: (T,)."""
    wave = 0.4 * speak(seed, hz, 3.5)
    phrases = [np.zeros(4000), wave[:28000], np.zeros(3000), wave[28000:], np.zeros(4000)]
    breath = np.random.default_rng(seed).standard_normal(sum(map(len, phrases)))
    return np.concatenate(phrases) + 1e-4 * breath


LEADS = [lead(0, 120.0), lead(1, 220.0)]


def row(takes: list[np.ndarray], leads: list[np.ndarray] = LEADS) -> Row:
    """Set takes beside their leads."""
    group = Group(leads, RATE, analyse_all)
    return Row(outputs=group.like(takes), sources=group)


def values(takes: list[np.ndarray]) -> np.ndarray:
    """Return all measures (N, 6) of takes."""
    found = row(takes)
    return np.concatenate([take_movement.values(found), take_sum.values(found)], axis=1)


def doubled(wave: np.ndarray, **settings: float) -> np.ndarray:
    """Return the double of a lead (T,)."""
    doubler = Doubler(RATE, DoubleSettings(**settings))
    return np.concatenate([doubler.process(wave), doubler.flush()], axis=1)[0, doubler.latency :]


@pytest.mark.parametrize("trick", ["copy", "delay", "chorus", "tape double", "detune"])
def test_what_is_no_second_take_fails(trick: str) -> None:
    takes = [lead if trick == "copy" else BASELINES[trick](lead, RATE) for lead in LEADS]
    found = values(takes)
    distance = float(take_distance.distances(found).mean())
    assert distance > 1.0
    assert not take_distance.passes(distance, float(found[:, 3].mean()))


def test_a_double_passes() -> None:
    found = values([doubled(lead, pitch=30) for lead in LEADS])
    distance = float(take_distance.distances(found).mean())
    assert take_distance.passes(distance, float(found[:, 3].mean())), found


def test_a_copy_is_nothing_new() -> None:
    np.testing.assert_allclose(values(LEADS)[0], [0, 0, 0, 20 * np.log10(2), 0, 1], atol=1e-6)


def test_what_is_the_same_throughout_is_no_movement() -> None:
    """A delay, another gain and another key do not count."""
    late = [0.3 * np.roll(LEADS[0], 800), 2 * np.roll(LEADS[1], -800)]
    timing, f0, level = take_movement.values(row(late)).T
    assert timing.max() < 6 and f0.max() < 4 and level.max() < 0.7
    lead = analyse_all(LEADS, RATE)[0]
    sharp = replace(lead, f0=lead.f0 * 2 ** (1 / 12))
    levels = take_movement.levels(LEADS[0])
    assert take_movement.movement(lead, sharp, levels, levels + 6) == pytest.approx((0, 0, 0))


def test_movement_is_measured_in_its_units() -> None:
    wave = LEADS[1]
    time = np.arange(len(wave)) / RATE
    louder = wave * 10 ** (3 * np.sin(2 * np.pi * 1.1 * time) / 20)
    moved = take_movement.values(row([louder], [wave]))[0]
    assert moved == pytest.approx([0, 0, 3 / np.sqrt(2)], abs=0.6)
    lead = analyse_all([wave], RATE)[0]
    frames = np.arange(len(lead.f0))
    wave_cents = 30 * np.sin(2 * np.pi * frames / 150)
    levels = take_movement.levels(wave)
    sharp = replace(lead, f0=lead.f0 * 2 ** (wave_cents / 1200))
    assert take_movement.movement(lead, sharp, levels, levels)[1] == pytest.approx(
        30 / np.sqrt(2), rel=0.2
    )
    # frames that are read at other times, 40 ms at most
    read = np.clip(np.rint(frames + 4 * np.sin(2 * np.pi * frames / 120)), 0, len(frames) - 1)
    at = read.astype(int)
    late = replace(lead, f0=lead.f0[at], mcep=lead.mcep[at], active=lead.active[at])
    timing = take_movement.movement(lead, late, levels, levels)[0]
    assert timing == pytest.approx(40 / np.sqrt(2), rel=0.3)


def test_sounds_that_share_nothing_add_up_in_power() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, 5 * RATE))
    level, ripple = take_sum.together(one, 7 * other)
    assert level == pytest.approx(3.01, abs=0.1) and ripple < 0.7
    assert take_sum.correlation(one, other) < 0.1
    late = np.roll(one, 320)
    assert take_sum.together(one, late)[1] > 3
    assert take_sum.correlation(one, late) == pytest.approx(1, abs=0.01)


def test_silence_beside_a_lead_is_measured_too() -> None:
    silent = [np.zeros_like(one) for one in LEADS]
    found = values(silent)
    assert np.isfinite(found).all() and take_distance.distances(found).min() > 1


def test_the_distance_is_in_quartiles_and_capped() -> None:
    norms = np.array(list(take_distance.NORMS.values()))
    width = norms[:, 2] - norms[:, 0]
    assert (width > 0).all() and list(take_distance.NORMS) == [
        *take_movement.MEASURES,
        *take_sum.MEASURES,
    ]
    far = norms[:, 1] + [0, 0, 0, 0, 0, 100] * width
    found = take_distance.distances(np.stack([norms[:, 1], norms[:, 1] + width, far]))
    assert found == pytest.approx([0, 1, 3 / 6])
    drawn = np.random.default_rng(0).normal(norms[:, 1], width, (4000, 6))
    for norm, again in zip(norms, take_distance.norms(drawn), strict=True):
        assert again.median == pytest.approx(norm[1], abs=0.1 * (norm[2] - norm[0]))

"""Doubles: a second take made of the lead's own sound."""

import numpy as np
import pytest

from tests.sounds import buzz, make_speech
from vctool.audio import resample
from vctool.data.smooth_noise import curve
from vctool.inference import double, double_motion
from vctool.inference.double import Doubler, DoubleSettings
from vctool.inference.double_motion import (
    LARGEST_SHIFT,
    LEVEL_KNOT,
    TIME_KNOT,
    Phrases,
    motion,
)
from vctool.metrics.pitch import track

RATE = 16000
STILL = {"timing": 0, "pitch": 0, "timbre": 0, "level": 0}


def doubled(
    lead: np.ndarray,
    rate: int = RATE,
    sizes: int | np.random.Generator = 4096,
    **settings: float,
) -> np.ndarray:
    """Return the doubles (takes, T) of a lead (T,) that arrives in blocks of some sizes."""
    doubler = Doubler(rate, DoubleSettings(**settings))
    made, at = [], 0
    while at < len(lead):
        size = sizes if isinstance(sizes, int) else int(sizes.integers(1, 3000))
        block = lead[at : at + size]
        out = doubler.process(block)
        assert out.shape == (doubler.settings.takes, len(block))
        made.append(out)
        at += len(block)
    return np.concatenate([*made, doubler.flush()], axis=1)[:, doubler.latency :]


@pytest.mark.parametrize("size", [1, 17, 64, 441, 512, None])
def test_the_sound_does_not_depend_on_the_sizes_of_blocks(size: int | None) -> None:
    lead = make_speech(1.0)
    whole = doubled(lead, sizes=4096, takes=2)
    assert whole.shape == (2, len(lead)) and np.abs(whole).max() > 0.05
    sizes = np.random.default_rng(1) if size is None else size
    np.testing.assert_array_equal(doubled(lead, sizes=sizes, takes=2), whole)


def test_any_position_can_be_computed_without_what_is_long_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also in a voice that never rests, whose pulses would hang on one another for ever."""
    monkeypatch.setattr(double_motion, "MEMORY_SECONDS", 2.0)
    monkeypatch.setattr(double, "PREROLL_SECONDS", 2 * 2.0 + 5.0)
    rate, at = 8000, 12 * 8000 + 123
    lead = np.concatenate([buzz(14.0, 150, 20, rate), make_speech(2.0, rate)])
    whole = doubled(lead, rate)
    first = at - Doubler.preroll(rate, at)
    assert first > 3 * rate
    doubler = Doubler(rate, DoubleSettings(), first)
    late = np.concatenate([doubler.process(lead[first:]), doubler.flush()], axis=1)
    assert not np.array_equal(late[0, doubler.latency :][:rate], whole[0, first : first + rate])
    np.testing.assert_array_equal(late[0, doubler.latency + at - first :], whole[0, at:])


def test_takes_and_seeds_are_their_own_and_always_the_same() -> None:
    lead = make_speech(1.5)
    two = doubled(lead, takes=2, seed=3)
    np.testing.assert_array_equal(doubled(lead, seed=3)[0], two[0])
    others = [two[1], doubled(lead, seed=4)[0]]
    for other in others:
        assert abs(np.corrcoef(other, two[0])[0, 1]) < 0.7


def test_the_declared_latency_is_the_measured_one() -> None:
    """Without movement a click of noise stays in its place, at any rate."""
    for rate in (8000, 44100, 192000):
        lead = np.zeros(rate)
        lead[rate // 2 : rate // 2 + rate // 500] = 0.5
        doubler = Doubler(rate, DoubleSettings(**STILL))
        out = np.concatenate([doubler.process(lead), doubler.flush()], axis=1)[0]
        power = np.square(out, dtype=float)
        centre = (power @ np.arange(len(out))) / power.sum()
        assert abs(centre - doubler.latency - (rate // 2 + rate / 1000)) < 0.004 * rate


def test_without_movement_the_voice_is_as_it_was() -> None:
    lead = make_speech(2.0)
    made = doubled(lead, **STILL)[0]
    f0, own = track(made), track(lead)
    both = (f0 > 0) & (own > 0)
    assert both.sum() > 0.8 * (own > 0).sum()
    assert np.median(np.abs(1200 * np.log2(f0[both] / own[both]))) < 5
    assert 10 * np.log10(np.mean(made**2) / np.mean(lead**2)) == pytest.approx(0, abs=0.5)
    # and yet it is not the lead: its pulses have a phase of their own
    assert abs(np.corrcoef(made, lead)[0, 1]) < 0.9


def test_pitch_moves_by_as_much_as_is_asked_for() -> None:
    lead = buzz(12.0, 200, 15, 8000)
    spreads = {}
    for pitch in (10, 60):
        made = doubled(lead, 8000, **{**STILL, "pitch": pitch})[0]
        f0 = track(resample(made, 8000, RATE))[20:-20]
        cents = 1200 * np.log2(f0[f0 > 0] / 200)
        spreads[pitch] = cents.std()
    assert spreads[10] == pytest.approx(10, rel=0.4)
    assert spreads[60] == pytest.approx(60, rel=0.3)


def test_level_moves_by_as_much_as_is_asked_for() -> None:
    lead = buzz(12.0, 200, 15, 8000)
    made = doubled(lead, 8000, **{**STILL, "level": 3.0})[0][1600:-1600]
    frames = made[: len(made) // 800 * 800].reshape(-1, 800)
    assert (10 * np.log10(np.mean(frames**2, axis=1))).std() == pytest.approx(3.0, rel=0.3)


def test_time_is_monotone_bounded_and_pulled_to_the_lead_s_at_phrase_starts() -> None:
    rate = 200.0
    settings = DoubleSettings(timing=80, tight=1)
    phrases = Phrases(rate, 0)
    rng = np.random.default_rng(0)
    source, pulled, sung = [], [], False
    for step in range(2000):
        if step % 10 == 0:
            sung = rng.random() < 0.8
        phrases.add(np.full(10, sung))
        frames = np.arange(10) + 10 * step - 30
        moves = motion(settings, 0, frames, 1 / rate, phrases)
        source.append(frames / rate + moves.shift)
        pulled.append(np.abs(moves.shift[phrases.pull(frames) == 1]))
    times = np.concatenate(source)
    assert np.diff(times).min() > 0.2 / rate
    assert np.concatenate(pulled).size and np.concatenate(pulled).max() == 0
    largest = np.abs(times - (np.arange(len(times)) - 30) / rate).max()
    assert 0.06 < largest < LARGEST_SHIFT + 1e-9


def test_a_phrase_is_forgotten_after_twenty_seconds() -> None:
    """A voice that never rests: who heard it from later on knows as much of it by then."""
    rate = 200

    def heard_from(second: int) -> dict[int, float]:
        phrases, found = Phrases(float(rate), second * rate), {}
        for now in range(second, 80):
            phrases.add(np.ones(rate, bool))
            frames = np.arange(rate) + now * rate - 30
            found[now] = float(phrases.offsets(frames, 5)[0])
        return found

    whole, late = heard_from(0), heard_from(30)
    same = {now: whole[now] == late[now] for now in late if now > 32}
    assert not any(same[now] for now in same if now < 50)
    assert all(same[now] for now in same if now > 51)
    assert len(set(whole.values())) >= 4, "each part of it has a number of its own"


def test_curves_are_smooth_have_unit_spread_and_hang_on_nothing_but_time() -> None:
    moments = np.arange(40000) * 0.01
    for knot in (TIME_KNOT, LEVEL_KNOT):
        values = curve(moments, knot, 7)
        assert values.std() == pytest.approx(1, abs=0.06) and abs(values.mean()) < 0.1
        assert np.abs(np.diff(values)).max() < 0.01 * 6 / knot
        np.testing.assert_array_equal(curve(moments[1234:1300], knot, 7), values[1234:1300])
        assert abs(np.corrcoef(curve(moments, knot, 8), values)[0, 1]) < 0.1


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_silence_stays_silent_and_an_offset_is_no_sound(level: float) -> None:
    made = doubled(np.full(RATE, level), takes=2)
    assert np.abs(made).max() <= 1e-12  # at its ends, too


def test_an_offset_is_not_doubled() -> None:
    lead = make_speech(1.5)
    lead[lead == 0] = 1e-9
    made, moved = doubled(lead), doubled(lead + 0.2)
    assert abs(moved.mean()) < 1e-3
    # nowhere a thump, where voice begins and ends or the recording does
    slow = [
        np.abs(np.convolve(one[0], np.full(400, 1 / 400), "same")).max() for one in (made, moved)
    ]
    assert slow[1] < 1.1 * slow[0] + 1e-3


def test_a_lead_at_full_scale_stays_below_it() -> None:
    loud = np.clip(30 * make_speech(1.0), -1, 1)
    made = doubled(loud, level=6.0)
    assert np.isfinite(made).all() and 0.9 < np.abs(made).max() < 1


def test_memory_does_not_grow() -> None:
    doubler = Doubler(8000)

    def held() -> int:
        doubler.process(block)
        lead = doubler._lead
        arrays = (lead.bands, lead.marks, doubler._takes[0]._voiced, doubler._pending[0])
        return sum(one.nbytes for one in arrays)

    block = buzz(2.0, 150, 10, 8000)
    first = max(held() for _ in range(2))
    assert max(held() for _ in range(6)) <= first + 1000

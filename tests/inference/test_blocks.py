"""Blocks: cut where it is quiet, cover everything once, join at an even loudness."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vctool.audio.tracks import ArrayTrack
from vctool.inference.blocks import GRID, Joiner, crossfade, plan

RATE, HOP = 1000, 10


@settings(max_examples=50, deadline=None)
@given(samples=st.integers(1, 60_000), block=st.integers(5000, 9000), seed=st.integers(0, 99))
def test_cores_cover_the_track_once_on_the_frame_grid(samples: int, block: int, seed: int) -> None:
    wave = np.random.default_rng(seed).normal(size=samples).astype(np.float32)
    blocks = plan(ArrayTrack(wave), block, HOP, RATE)
    assert blocks[0].start == 0 and blocks[-1].stop == samples
    for one, other in pairwise(blocks):
        assert one.stop == other.start and one.stop % HOP == 0
        # Both neighbours see the cross-fade's whole width, and much more.
        assert one.outer_stop - one.stop >= min(2000, samples - one.stop)
        assert other.start - other.outer_start >= 2000
    assert all(0 < one.stop - one.start <= block for one in blocks)
    assert all(one.outer_start % (GRID * HOP) == 0 for one in blocks)


def test_a_short_track_is_one_block() -> None:
    assert len(plan(ArrayTrack(np.zeros(5000, np.float32)), 5000, HOP, RATE)) == 1


def test_cuts_fall_into_pauses() -> None:
    wave = np.random.default_rng(0).normal(size=12_000).astype(np.float32)
    wave[5600:5800] = 0  # a pause near the end of the first 6 s
    cut = plan(ArrayTrack(wave), 6000, HOP, RATE)[0].stop
    assert 5600 < cut < 5800


@pytest.mark.parametrize("alike", [0.0, 1.0])
def test_a_cross_fade_keeps_its_loudness(alike: float) -> None:
    rng = np.random.default_rng(0)
    old, other = rng.normal(size=(2, 20_000)).astype(np.float32)
    new = alike * old + (1 - alike) * other
    faded = crossfade(old, new)
    assert np.std(faded[8000:12_000]) == pytest.approx(1.0, abs=0.03)
    if alike == 1.0:
        np.testing.assert_allclose(faded, old, atol=1e-6)


def test_blocks_of_one_wave_join_to_that_wave() -> None:
    wave = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    track = ArrayTrack(wave)
    joiner = Joiner(50)
    parts = []
    for one in plan(track, 6000, HOP, RATE):
        piece = track.read(one.outer_start, one.outer_stop)
        parts += joiner.join(piece, one.start - one.outer_start, one.stop - one.start)
    np.testing.assert_allclose(np.concatenate(parts), wave, atol=1e-6)


def test_blocks_with_other_phases_join_without_a_click() -> None:
    time = np.arange(20_000)
    joiner = Joiner(50)
    parts: list[np.ndarray] = []
    for number, one in enumerate(plan(ArrayTrack(np.zeros(20_000, np.float32)), 6000, HOP, RATE)):
        wave = np.sin(2 * np.pi * time / 100 + number * np.pi / 2).astype(np.float32)
        piece = wave[one.outer_start : one.outer_stop]
        parts += joiner.join(piece, one.start - one.outer_start, one.stop - one.start)
    joined = np.concatenate(parts)
    # A bare cut would jump by up to 1; the sine itself moves by 2 pi / 100 a sample.
    assert len(joined) == 20_000 and np.abs(np.diff(joined)).max() < 3 * 2 * np.pi / 100


def test_silence_fades_into_silence() -> None:
    assert not crossfade(np.zeros(10, np.float32), np.zeros(10, np.float32)).any()

"""Tracks: the same samples from memory, from disk and looped, whatever is asked for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vctool.audio.tracks import ArrayTrack, Looped, SpoolTrack, pieces
from vctool.errors import AudioError


def test_a_spool_reads_what_was_written_anywhere(tmp_path: Path) -> None:
    wave = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    with SpoolTrack(tmp_path) as track:
        for part in np.array_split(wave, 7):
            track.append(part)
        memory = ArrayTrack(wave)
        for start, stop in [(0, 1000), (-50, 30), (990, 1100), (400, 400), (1200, 1210), (-9, -2)]:
            np.testing.assert_array_equal(track.read(start, stop), memory.read(start, stop))
        # Reading in between does not disturb what is written next.
        track.append(wave)
        assert track.samples == 2000
        np.testing.assert_array_equal(track.read(1000, 2000), wave)
        np.testing.assert_array_equal(np.concatenate(list(pieces(track, 333))), np.tile(wave, 2))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone: cannot be written to .*pass --out"):
        SpoolTrack(tmp_path / "gone")


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 20),
    samples=st.integers(0, 60),
    offset=st.integers(-30, 50),
    start=st.integers(-10, 70),
    count=st.integers(0, 40),
)
def test_looping_is_counting_modulo_the_length(
    length: int, samples: int, offset: int, start: int, count: int
) -> None:
    wave = np.arange(1, length + 1, dtype=np.float32)
    found = Looped(ArrayTrack(wave), samples, offset).read(start, start + count)
    expected = [
        wave[(at + offset) % length] if 0 <= at < samples and at + offset >= 0 else 0
        for at in range(start, start + count)
    ]
    np.testing.assert_array_equal(found, np.array(expected, np.float32))

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool import audio
from vctool.acquisition import activity

RATE = 8000


def record(path: Path, parts: list[tuple[float, float]]) -> Path:
    """Write noise: `(seconds, peak)` one after the other."""
    generator = np.random.default_rng(0)
    wave = [generator.uniform(-peak, peak, round(length * RATE)) for length, peak in parts]
    audio.write(path, np.concatenate(wave).astype("f4"), RATE)
    return path


def test_phrases_are_found_and_pauses_left_out(tmp_path: Path) -> None:
    path = record(tmp_path / "x.wav", [(2, 0), (5, 0.3), (4, 0), (4, 0.3), (3, 0)])
    (a, b), (c, d) = activity.segments(path)
    assert (a, b) == pytest.approx((1.85, 7.15), abs=0.03)
    assert (c, d) == pytest.approx((10.85, 15.15), abs=0.03)


def test_bleeding_stems_do_not_count_as_voice(tmp_path: Path) -> None:
    path = record(tmp_path / "x.wav", [(4, 0.003), (5, 0.3), (4, 0.003)])
    assert len(activity.segments(path)) == 1


@pytest.mark.parametrize("longest", [6.0, 12.0])
@pytest.mark.parametrize("length", [6.01, 12.01, 40.0, 100.0])
def test_long_phrases_are_cut_and_nothing_is_lost(
    tmp_path: Path, length: float, longest: float
) -> None:
    found = activity.segments(record(tmp_path / "x.wav", [(length, 0.3)]), longest=longest)
    assert found[0][0] == 0 and found[-1][1] == pytest.approx(length, abs=0.002)
    assert all(a[1] == b[0] for a, b in pairwise(found))
    assert all(2.9 < end - start <= longest + 0.03 for start, end in found)


def test_the_cut_falls_on_the_quietest_point(tmp_path: Path) -> None:
    path = record(tmp_path / "x.wav", [(8, 0.3), (0.3, 0.02), (8, 0.3)])
    (_, cut), _ = activity.segments(path)
    assert 8.0 < cut < 8.3


def test_short_phrases_are_joined_or_widened_and_never_overlap(tmp_path: Path) -> None:
    path = record(tmp_path / "x.wav", [(1, 0.3), (1, 0), (1, 0.3), (8, 0), (1, 0.3), (0.2, 0)])
    found = activity.segments(path)
    assert len(found) == 2
    assert all(2.99 < end - start for start, end in found)
    assert found[1][1] <= 12.2


@pytest.mark.parametrize("parts", [[(0.5, 0), (1, 0.3), (8, 0)], [(8, 0), (1, 0.3), (0.5, 0)]])
def test_a_phrase_at_an_edge_is_widened_on_the_other_side(
    tmp_path: Path, parts: list[tuple[float, float]]
) -> None:
    ((start, end),) = activity.segments(record(tmp_path / "x.wav", parts))
    assert end - start == pytest.approx(3.0, abs=0.01)
    assert start == 0 or end == pytest.approx(9.5, abs=0.01)


@pytest.mark.parametrize("parts", [[(5, 0.0)], [(2, 0), (0.1, 0.3), (2, 0)]])
def test_silence_and_blips_give_nothing(tmp_path: Path, parts: list[tuple[float, float]]) -> None:
    assert activity.segments(record(tmp_path / "x.wav", parts)) == []


def test_a_recording_shorter_than_a_segment_gives_itself(tmp_path: Path) -> None:
    assert activity.segments(record(tmp_path / "x.wav", [(1.5, 0.3)])) == [(0.0, 1.5)]


def speech(level: float, offset: float = 0.0, noise: float = -95.0) -> np.ndarray:
    """Six phrases of four seconds, each before four seconds of pause."""
    rng = np.random.default_rng(0)
    phrase = np.concatenate([rng.standard_normal(4 * RATE), np.zeros(4 * RATE)])
    background = 10 ** (noise / 20) * rng.standard_normal(6 * len(phrase))
    return 10 ** (level / 20) * np.tile(phrase, 6) + background + offset


@pytest.mark.parametrize("level", [-20.0, -40.0, -60.0])
@pytest.mark.parametrize("offset", [0.0, 0.01, -0.1])
def test_pauses_are_found_whatever_the_level_and_the_offset(
    tmp_path: Path, level: float, offset: float
) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, speech(level, offset), RATE, subtype="FLOAT")
    found = activity.segments(path)
    assert len(found) == 6
    assert all(3.9 < end - start < 4.6 for start, end in found)


@pytest.mark.parametrize("sound", ["music", "a tone", "a long decay"])
def test_hours_without_a_pause_are_cut(monkeypatch: pytest.MonkeyPatch, sound: str) -> None:
    frames = round(6 * 3600 / activity.FRAME)
    level = {
        "music": np.random.default_rng(0).uniform(-21, -19, frames),
        "a tone": np.full(frames, -20.0),
        "a long decay": np.linspace(-20.0, -26.0, frames),
    }[sound]
    monkeypatch.setattr(activity, "levels", lambda path, channel: (level, 6 * 3600.0))
    found = activity.segments(Path("music.wav"))
    assert found[0][0] == 0.0 and found[-1][1] == 6 * 3600.0
    assert max(end - start for start, end in found) <= activity.LONGEST + activity.FRAME

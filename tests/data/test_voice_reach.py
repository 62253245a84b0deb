"""Voices beyond the settings' F0 range are named, with the settings that cover them."""

from pathlib import Path

import numpy as np

from tests.sounds import speak
from vctool import audio
from vctool.data.utterance import Utterance
from vctool.data.voice_reach import covering, told, voices_beyond
from vctool.features.reach import Reach
from vctool.features.settings import FeatureConfig
from vctool.workers import Workers

CONFIG = FeatureConfig(f0_floor=60, f0_ceil=600)


def record(folder: Path, speaker: str, hz: float) -> list[Utterance]:
    made = []
    for index in range(2):
        path = folder / f"{speaker}-{index}.wav"
        audio.write(path, speak(index, hz).astype(np.float32), 16000)
        made.append(Utterance(path.stem, speaker, "singing", path, 2.0))
    return made


def test_voices_beyond_the_range_are_named_with_what_covers_them(tmp_path: Path) -> None:
    sung = [one for who, hz in (("ann", 210.0), ("bea", 700.0), ("cy", 52.0))
            for one in record(tmp_path, who, hz)]  # fmt: skip
    with Workers(1, here=True) as workers:
        found = voices_beyond(sung, CONFIG, workers)
    assert list(found) == ["bea (singing)", "cy (singing)"]
    assert covering(found) == {"f0_floor": 35.0, "f0_ceil": 950.0}
    high, low = told(found, CONFIG)
    assert high.startswith("F0 of bea (singing) goes up to 7")
    assert "above features.f0_ceil = 600" in high and "--set features.f0_ceil=950" in high
    assert low.startswith("F0 of cy (singing) goes down to 4")
    assert "below features.f0_floor = 60" in low and "--set features.f0_floor=35" in low


def test_a_choir_is_one_line_and_nothing_is_none() -> None:
    choir = {f"s{n}": Reach(None, 700.0 + n) for n in range(5)}
    (line,) = told(choir, CONFIG)
    assert line.startswith("F0 of s0, s1, s2 and 2 more goes up to 704 Hz")
    assert told({}, CONFIG) == [] and covering({}) == {}


def test_a_recording_that_cannot_be_read_is_left_to_what_computes_its_features(
    tmp_path: Path,
) -> None:
    lost = Utterance("x-1", "x", "speech", tmp_path / "gone.wav", 1.0)
    with Workers(1, here=True) as workers:
        assert voices_beyond([lost], CONFIG, workers) == {}

"""What `data show` says of voices whose pitch, level and length are known."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import buzz
from vctool.data.datadir import DataDir, Utterance
from vctool.tools import summary

RATE = 22050


def put(path: Path, hz: float, gain: float, seconds: float) -> Path:
    wave = buzz(seconds, hz, 8, RATE)
    soundfile.write(path, gain * wave / np.abs(wave).max(), RATE)
    return path


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    utterances = [
        Utterance(
            f"{speaker}-{domain}{n}", speaker, domain, wav, 0.5 + 0.1 * n, text="x" if n else None
        )
        for speaker, domain, hz, gain in (
            ("ann", "speech", 220.0, 0.5),
            ("ann", "singing", 440.0, 0.5),
            ("ben", "speech", 110.0, 0.05),
        )
        for n in range(3)
        if (wav := put(tmp_path / f"{speaker}{domain}{n}.wav", hz, gain, 0.5 + 0.1 * n))
    ]
    quiet = tmp_path / "noise.wav"
    soundfile.write(quiet, np.random.default_rng(0).uniform(-1e-3, 1e-3, RATE), RATE)
    utterances.append(Utterance("zed-1", "zed", "speech", quiet, 1.0))
    made = DataDir(tmp_path / "d", tuple(utterances))
    made.write()
    return DataDir.read(made.path)


def test_voices_have_their_pitch_level_and_length(data: DataDir) -> None:
    voices = {voice.name: voice for voice in summary.summarise(data)}
    assert list(voices) == ["ann (singing)", "ann (speech)", "ben (speech)", "zed (speech)"]
    for name, hz in {"ann (singing)": 440, "ann (speech)": 220, "ben (speech)": 110}.items():
        assert np.median(voices[name].f0) == pytest.approx(hz, rel=0.01)
        assert voices[name].durations.tolist() == pytest.approx([0.5, 0.6, 0.7])
        assert voices[name].rates == (RATE,)
    difference = voices["ann (speech)"].levels - voices["ben (speech)"].levels
    assert difference == pytest.approx(20, abs=0.5)


def test_the_table_says_it_in_words(data: DataDir) -> None:
    voices = summary.summarise(data)
    assert summary.total(data, voices) == (
        f"{data.path}: 10 utterances, 0.1 min, 3 speakers, singing, speech, 22050 Hz, 6 with text"
    )
    rows = {row[0]: row for row in map(summary.row, voices)}
    assert rows["ann (speech)"][summary.HEADS.index("F0 [Hz]")] == "220 220 220"
    assert rows["ben (speech)"][summary.HEADS.index("duration [s]")] == "0.5 0.6 0.7"


def test_a_sample_is_spread_over_all_and_levels_are_only_of_it(data: DataDir) -> None:
    (voice, *_) = summary.summarise(data, sample=2)
    assert (len(voice.durations), len(voice.levels)) == (3, 2)
    ids = [one.id for one in summary._spread(data.utterances, 4)]
    assert ids == [data.ids[place] for place in (0, 3, 6, 9)]


def test_processes_find_the_same(data: DataDir) -> None:
    for one, other in zip(summary.summarise(data), summary.summarise(data, nj=2), strict=True):
        assert np.array_equal(one.levels, other.levels) and np.array_equal(one.f0, other.f0)


def test_the_plot_is_drawn_also_of_many_voices_and_of_unvoiced_ones(
    data: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voices = summary.summarise(data)
    pictures = []
    for drawn, some in ((24, voices), (2, voices), (24, voices[3:])):
        monkeypatch.setattr(summary, "DRAWN", drawn)
        summary.draw(some, tmp_path / "x.png")
        pictures.append((tmp_path / "x.png").read_bytes())
        assert pictures[-1].startswith(b"\x89PNG")
    assert len(set(pictures)) == 3

"""Formula anchors, and that the measures separate speech from singing on real recordings."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool.evaluation.board import anchored_board, markdown
from vctool.evaluation.singing import baselines
from vctool.evaluation.singing.board import REAL, SingingTask
from vctool.metrics import notes, pitch
from vctool.metrics.analysis import analyse


def triad(classes: tuple[int, ...]) -> np.ndarray:
    chroma = np.full((300, 12), 0.01)
    chroma[:, list(classes)] = 0.3
    return chroma


def test_snap_rests_on_strong_classes_near_the_voice() -> None:
    f0 = 150 * 2 ** (np.sin(np.arange(300) / 20) * 3 / 12)
    f0[100:110] = 0
    snapped = baselines.snap(f0, triad((0, 4, 7)))
    np.testing.assert_array_equal(snapped > 0, f0 > 0)
    voiced = snapped > 0
    off = pitch.to_semitones(snapped[voiced]) - pitch.to_semitones(f0[voiced])
    assert np.abs(off).max() < 5
    share = np.isin(np.round(pitch.to_semitones(snapped[voiced]), 3) % 12, (0, 4, 7)).mean()
    assert share > 0.75 and notes.stability(snapped) > 0.9 > notes.stability(f0)


def test_drone_stays_on_the_strongest_class() -> None:
    chroma = triad((0, 4, 7))
    chroma[:, 7] = 0.5
    f0 = np.full(200, 150.0)
    f0[50:60] = 0
    held = baselines.drone(f0, chroma)
    assert set(np.round(pitch.to_semitones(held[held > 0]), 3) % 12) == {7.0}
    assert not baselines.drone(np.zeros(10), chroma).any()


def test_lengthening_follows_the_time_map() -> None:
    f0 = np.repeat([100.0, 200.0], 50)
    voice = baselines.WorldVoice(f0, np.zeros((100, 3)), np.zeros((100, 3)), 16000, 16000)
    longer = baselines.lengthen(voice, np.array([[0.0, 0.0], [0.5, 0.4], [1.0, 1.5]]))
    assert longer.samples == 24000 and len(longer.f0) == 151
    assert longer.f0[38] == 100.0 and longer.f0[42] == 200.0


def test_without_accompaniment_there_is_no_drone_and_snap_takes_semitones() -> None:
    wave = np.sin(2 * np.pi * np.cumsum(np.linspace(150, 180, 16000)) / 16000)
    made = baselines.build([wave, wave], 16000, None, [wave])
    assert set(made) == {"copy", "resynthesis", "F0 snap", "random singing", "real singing, WORLD"}
    assert all(len(waves) == 2 for waves in made.values())


def test_nothing_is_synthesised_that_has_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = [], baselines.put_together

    def counted(voice: baselines.WorldVoice, f0: np.ndarray) -> np.ndarray:
        made.append(voice)
        return real(voice, f0)

    monkeypatch.setattr(baselines, "put_together", counted)
    wave = np.sin(2 * np.pi * np.cumsum(np.linspace(150, 180, 8000)) / 16000)
    for music, own, rows in (
        (wave, None, {"resynthesis", "F0 snap", "drone", "real singing, WORLD"}),
        (wave, [wave], {"F0 snap", "drone", "real singing, WORLD"}),
        (np.zeros(8000), [wave], {"F0 snap", "real singing, WORLD"}),
    ):
        made.clear()
        found = baselines.build([wave], 16000, [music], [wave], resynthesis=own)
        assert len(made) == len(rows)
        assert rows | {"copy", "random singing", "resynthesis"} == set(found)


@pytest.fixture(scope="module")
def recordings(shared_data: Path) -> tuple[list[np.ndarray], ...]:
    """First seconds of speech, singing and its accompaniment."""
    speech = sorted(shared_data.glob("LibriSpeech/**/*.flac"))[2::12][:8]
    sung = sorted(shared_data.glob("MIR-1K/Wavfile/*.wav"))[::5][:20]
    if not speech or not sung:
        pytest.skip("LibriSpeech or MIR-1K is not there")
    voices = [soundfile.read(path)[0][: 5 * 16000] for path in speech]
    stereo = [soundfile.read(path)[0][: 5 * 16000] for path in sung]
    return voices, [w[:, 1].copy() for w in stereo], [w[:, 0].copy() for w in stereo]


def test_note_stability_tells_singing_from_speech(recordings: tuple[list, ...]) -> None:
    speech, sung, _ = recordings
    share = [
        np.nanmean([notes.stability(analyse(wave, 16000).f0) for wave in waves])
        for waves in (speech, sung[:8])
    ]
    assert share[0] < 0.2 and share[1] > 0.55


def test_board_ranks_anchors_as_they_deserve(recordings: tuple[list, ...], no_judges: None) -> None:
    speech, sung, music = recordings
    task = SingingTask(16000, speech, sung[::2], sung[1::2], music[: len(speech)], music[1::2])
    board = anchored_board(task)
    scores = board.scores(100)
    distance = {name: score.value for name, score in scores["distance"].items()}
    for name in ("copy", "F0 snap", "drone"):
        assert max(distance[REAL], distance["real singing, WORLD"]) < 0.5 * distance[name]
    chroma = {name: score.value for name, score in scores["chroma"].items()}
    assert chroma["drone"] > 0.15 > chroma[REAL] > chroma["copy"] - 0.02
    assert scores["content"]["F0 snap"].value == 1.0
    assert scores["content"]["random singing"].value < 0.5
    assert scores["note_stability"]["F0 snap"].gap > 0.5
    assert scores["distance"]["F0 snap"].versus["copy"][2] < 0
    assert "| drone |" in markdown(scores)

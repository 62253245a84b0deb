"""Vocoders side by side: what a copy scores, what ranks how, and what values rest on."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from vctool.evaluation.board import markdown
from vctool.evaluation.vocoders.board import REAL, VocoderBoard
from vctool.metrics import mcd, resynthesis, transcript
from vctool.metrics.voice_analysis import analyse

Voice = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def recordings(voice: Voice) -> list[np.ndarray]:
    # A pause follows, which does not count where envelopes are compared.
    voices = [voice(seed, hz, 1.6) for seed, hz in enumerate((110, 150, 210, 130, 180))]
    return [np.concatenate([wave, np.zeros(6400)]) for wave in voices]


@pytest.fixture(scope="module")
def board(recordings: list[np.ndarray]) -> VocoderBoard:
    """Four systems whose order is known: nothing changed, level, some noise, much noise."""
    board = VocoderBoard(recordings, 16000, recall=no_judge)
    rng = np.random.default_rng(0)
    noise = [rng.standard_normal(len(wave)) for wave in recordings]
    seconds = np.arange(1.0, 6.0)
    board.add("copy", recordings, seconds=seconds)
    board.add("softer", [0.1 * wave for wave in recordings], seconds=seconds)
    for name, level in (("hiss", 0.003), ("noise", 0.03)):
        noisy = [wave + level * one for wave, one in zip(recordings, noise, strict=True)]
        board.add(name, noisy, seconds=seconds)
    high = [voice_of(wave) for wave in recordings]
    board.add("other", high, seconds=seconds)
    return board


def voice_of(wave: np.ndarray) -> np.ndarray:
    """Play a wave 5 % faster, and cut and pad it to its length: another pitch."""
    at = np.arange(len(wave)) * 1.05
    return np.interp(at, np.arange(len(wave)), wave, right=0.0)


def no_judge(
    judge: str,
    waves: Sequence[np.ndarray],
    rate: int,
    ask: Callable[[Sequence[np.ndarray], int], np.ndarray],
) -> np.ndarray:
    return np.full((len(waves), 4), 3.0)


def test_a_copy_is_at_the_recordings_whatever_its_level(board: VocoderBoard) -> None:
    scores = board.scores(100)
    exact = [name for name, one in board.measures.items() if one.exact == 0.0]
    assert exact == ["lsd", "mr_stft", "mcd", "f0_rmse", "f0_voicing", "phone_distance"]
    for measure in exact:
        for name in (REAL, "copy", "softer"):
            assert scores[measure][name].value == pytest.approx(0, abs=1e-6), (measure, name)
    assert scores["content"]["copy"].value == scores["content"][REAL].value == 1


def test_what_is_farther_scores_worse_and_differences_are_paired(board: VocoderBoard) -> None:
    scores = board.scores(200)
    for measure in ("lsd", "mr_stft", "mcd"):
        row = scores[measure]
        assert 0 < row["hiss"].value < row["noise"].value, measure
        difference, low, high = row["hiss"].versus["noise"]
        assert difference == pytest.approx(row["hiss"].value - row["noise"].value)
        assert low <= difference <= high < 0, measure
    assert scores["f0_rmse"]["hiss"].value < 5
    assert scores["f0_rmse"]["other"].value > 60  # 5 % are 84 cents, but for what moved away


def test_values_are_those_of_the_measures(
    board: VocoderBoard, recordings: list[np.ndarray]
) -> None:
    rng = np.random.default_rng(0)
    noisy = [wave + 0.003 * rng.standard_normal(len(wave)) for wave in recordings]
    scores = board.scores(100)
    expected = resynthesis.pooled(noisy, recordings, 16000, 16000)
    assert scores["lsd"]["hiss"].value == pytest.approx(expected["lsd"].value)
    distortions = []
    for output, recording in zip(noisy, recordings, strict=True):
        a, b = analyse(output, 16000), analyse(recording, 16000)
        difference = (a.mcep - b.mcep)[b.active, 1:]
        distortions.append(mcd.DB * np.sqrt((difference**2).sum(axis=1)).mean())
    assert scores["mcd"]["hiss"].value == pytest.approx(np.mean(distortions))
    # 15 s of work for five waves of 2 s.
    assert scores["rtf"]["hiss"].value == pytest.approx(1.5)


def test_the_table_has_a_line_per_row(board: VocoderBoard) -> None:
    text = markdown(board.scores(100))
    assert [line.split("|")[1].strip() for line in text.splitlines()[2:]] == [
        REAL,
        "copy",
        "softer",
        "hiss",
        "noise",
        "other",
    ]
    assert {"LSD", "MR-STFT", "real-time factor"} <= {
        cell.strip() for cell in text.splitlines()[0].split("|")
    }


def test_words_count_where_the_text_is_known(
    board: VocoderBoard, recordings: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert board.not_run["CER, WER"] == "no text of the recordings is known"

    def heard(waves: Sequence[np.ndarray], *_: object) -> list[str]:
        """Understand what is as loud as it was recorded, and nothing else."""
        loud = [np.abs(wave).max() > 0.5 * np.abs(recordings[0]).max() for wave in waves]
        return ["one two three" if one else "" for one in loud]

    monkeypatch.setattr(transcript, "transcribe_all", heard)
    texts = ["one two three"] * 4 + ["one two four"]
    known = VocoderBoard(recordings, 16000, recall=no_judge, texts=texts)
    known.add("copy", recordings, seconds=np.ones(5))
    known.add("mute", [0.1 * wave for wave in recordings], seconds=np.ones(5))
    scores = known.scores(100)
    assert "CER, WER" not in known.not_run
    assert scores["wer"][REAL].value == scores["wer"]["copy"].value == pytest.approx(1 / 15)
    assert scores["wer"]["mute"].value == 1.0
    assert scores["wer_added"]["copy"].value == 0.0
    assert scores["wer_added"]["mute"].value == pytest.approx(14 / 15)

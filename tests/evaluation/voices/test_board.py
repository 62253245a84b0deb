"""The board of voice conversion: known systems get the values and the pairs that they deserve."""

import dataclasses
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from vctool.evaluation.board import markdown
from vctool.evaluation.page.table import COPY
from vctool.evaluation.voices.baselines import REAL
from vctool.evaluation.voices.board import VoiceBoard, VoiceTask
from vctool.metrics import mcd, naturalness, speaker
from vctool.metrics.voice_analysis import analyse

RATE, COUNT = 16000, 3
Make = Callable[..., np.ndarray]
Waves = list[np.ndarray]


def low(voice: Make, sentences: Sequence[int]) -> Waves:
    return [voice(k, 110.0, 1.0) for k in sentences]


def high(voice: Make, sentences: Sequence[int]) -> Waves:
    return [np.convolve(voice(k, 220.0, 1.0), [1.0, -0.8], mode="same") for k in sentences]


def make_task(voice: Make, parallel: bool = True) -> VoiceTask:
    targets = high(voice, range(COUNT))
    return VoiceTask(
        RATE,
        low(voice, range(COUNT)),
        targets if parallel else None,
        targets if parallel else high(voice, [30, 31]),
        high(voice, [10, 11, 12]),
        low(voice, [20, 21]),
    )


@pytest.fixture(autouse=True)
def no_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("resemblyzer", "distillmos", "speechmos"):
        monkeypatch.setitem(sys.modules, package, None)


@pytest.fixture
def task(voice: Make) -> VoiceTask:
    return make_task(voice)


def test_the_target_itself_closes_every_gap_and_the_copy_none(task: VoiceTask) -> None:
    assert task.targets is not None
    board = VoiceBoard(task)
    board.add(COPY, task.sources)
    board.add("perfect", list(task.targets))
    scores = board.scores(100)
    perfect = {measure: row["perfect"] for measure, row in scores.items()}
    assert perfect["mcd"].value == 0.0 and perfect["mcd"].gap == 1.0
    assert perfect["f0_rmse"].value == 0.0 and perfect["f0_rmse"].gap == 1.0
    assert perfect["f0_correlation"].value == pytest.approx(1.0)
    assert scores["f0_rmse"][COPY].value == pytest.approx(1200, abs=60)
    assert scores["f0_distribution"][COPY].value == pytest.approx(1200, abs=200)
    assert scores["content"][COPY].value == 1.0 and np.isnan(scores["content"]["perfect"].gap)
    for measure, row in scores.items():  # the same recordings as the real row, and paired with it
        assert row["perfect"].versus[REAL] == (0.0, 0.0, 0.0), measure
    low_end, high_end = perfect["mcd"].versus[COPY][1:]
    assert low_end <= high_end < 0


def test_values_of_utterances_pool_to_the_value_of_the_system(task: VoiceTask) -> None:
    assert task.targets is not None
    board = VoiceBoard(task)
    board.add("copy", task.sources)
    values = board.per_utterance()
    pairs = zip(task.sources, task.targets, strict=True)
    alone = [mcd.mcd(analyse(a, RATE), analyse(b, RATE)) for a, b in pairs]
    np.testing.assert_allclose(values["mcd"]["copy"], alone)
    assert np.mean(alone) == pytest.approx(board.scores(100)["mcd"]["copy"].value)
    np.testing.assert_array_equal(values["mcd"][REAL], np.zeros(COUNT))
    assert not {name for name, measure in board.measures.items() if measure.of_set} & set(values)


def test_without_parallel_recordings_the_rest_is_measured_and_the_reason_named(
    voice: Make,
) -> None:
    board = VoiceBoard(make_task(voice, parallel=False))
    board.add("copy", board.task.sources)
    scores = board.scores(100)
    said = {"content", "phone_distance", "content_mel"}
    assert {"voice_ratio", "f0_distribution", "modulation", "gv_ratio"} | said == set(scores)
    assert REAL not in scores["content"] and REAL in scores["gv_ratio"]
    assert "same sentences" in board.not_run["MCD"]
    assert "same sentences" in board.not_run["F0 error"]
    assert REAL not in board.per_utterance()["content"]
    assert "| target |" in markdown(scores)


def test_absent_packages_and_texts_are_named(task: VoiceTask) -> None:
    board = VoiceBoard(task)
    assert "Resemblyzer" in board.not_run["speaker"] or "resemblyzer" in board.not_run["speaker"]
    assert "speechmos" in board.not_run["DNSMOS"]
    assert "distillmos" in board.not_run["DistillMOS"]
    assert "no text" in board.not_run["CER, WER"]


def test_a_system_that_is_added_again_replaces_its_row(task: VoiceTask) -> None:
    assert task.targets is not None
    board = VoiceBoard(task)
    board.add("model", task.sources)
    worse = board.scores(100)["mcd"]["model"].value
    board.add("model", list(task.targets))
    assert board.scores(100)["mcd"]["model"].value == 0.0 < worse


class ByPitch:
    """An encoder that tells voices by how often they cross zero."""

    def embed_all(self, waves: Sequence[np.ndarray], rate: int) -> np.ndarray:
        crossings = [np.mean(np.diff(np.sign(wave)) != 0) for wave in waves]
        angles = np.clip(4.0 * np.array(crossings), 0.0, np.pi / 2)
        return np.column_stack([np.cos(angles), np.sin(angles)])


def test_voices_are_compared_with_training_recordings_and_remembered(
    task: VoiceTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert task.targets is not None
    monkeypatch.setattr(speaker, "SpeakerEncoder", ByPitch)
    asked: list[int] = []

    def recall(judge: str, waves: Sequence[np.ndarray], rate: int, ask: Callable) -> np.ndarray:
        assert "Resemblyzer" in judge and speaker.SETTINGS in judge
        asked.append(len(waves))
        return np.asarray(ask(waves, rate))

    board = VoiceBoard(task, recall=recall)
    board.add("copy", task.sources)
    board.add("perfect", list(task.targets))
    assert asked == [3, 2, 3, 3, 3, 3]  # both trainings, held-out, real row, two systems
    scores = board.scores(100)
    encoder = ByPitch()
    own = encoder.embed_all(task.sources, RATE)
    home = speaker.centroid(encoder.embed_all(task.source_training, RATE))
    assert scores["speaker_source"]["copy"].value == pytest.approx((own @ home).mean())
    assert scores["speaker_margin"]["copy"].value < 0 < scores["speaker_margin"]["perfect"].value
    assert scores["eer"]["perfect"].value == pytest.approx(0.5, abs=0.2)
    assert scores["eer"]["copy"].value == 0.0


def test_opinions_and_words_have_their_columns(
    task: VoiceTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Listener:
        def predict_all(self, waves: Sequence[np.ndarray], rate: int) -> np.ndarray:
            return np.tile([1.0, 2.0, 3.0, 4.0], (len(waves), 1))

    monkeypatch.setattr(naturalness, "OpinionPredictor", Listener)
    heard = ["go home now"] * COUNT
    monkeypatch.setattr(
        "vctool.metrics.transcript.transcribe_all", lambda waves, rate, each: heard[: len(waves)]
    )
    board = VoiceBoard(dataclasses.replace(task, texts=["Go home!"] * COUNT))
    board.add("copy", task.sources)
    scores = board.scores(100)
    columns = ("dnsmos_overall", "dnsmos_signal", "dnsmos_background", "dnsmos_p808")
    assert [scores[name]["copy"].value for name in columns] == [1.0, 2.0, 3.0, 4.0]
    assert scores["wer"]["copy"].value == 0.5
    assert scores["cer"]["copy"].value == pytest.approx(4 / 7)  # " now", and a space is a letter

"""VCC2018 and VCC2020: what is scored is never trained on."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vctool.corpora import vcc2018, vcc2020
from vctool.errors import DataError

HUB, SPOKE = [f"1{k:04d}" for k in range(1, 12)], [f"2{k:04d}" for k in range(1, 12)]
SCORED = ["30001", "30002", "30003"]


@pytest.fixture
def corpus18(tmp_path: Path, put: Callable[..., None]) -> Path:
    root = tmp_path / "VCC2018"
    said = {"VCC2SF1": HUB, "VCC2SM3": SPOKE, "VCC2TF1": HUB, "VCC2TM2": HUB}
    for speaker, sentences in said.items():
        scored = "vcc2018_evaluation" if speaker[4] == "S" else "vcc2018_reference"
        for sentence in sentences:
            put(root / "vcc2018_training" / speaker / f"{sentence}.wav", 22050)
        for sentence in SCORED:
            put(root / scored / speaker / f"{sentence}.wav", 22050)
    transcripts = root / "vcc2018_training" / "Transcriptions"
    for folder, sentences in {"HUB": HUB, "SPOKE": SPOKE}.items():
        (transcripts / folder).mkdir(parents=True)
        for sentence in sentences:
            (transcripts / folder / f"{sentence}.txt").write_text(f"Words of {sentence}.\n")
    (root / "scripts").mkdir()
    for sentence in SCORED:
        (root / "scripts" / f"{sentence}.txt").write_text(f"Words of\t{sentence}.\n")
    return tmp_path


@pytest.mark.parametrize("seed", range(3))
def test_vcc2018_scores_on_the_evaluation_sentences_alone(
    corpus18: Path, prepared: Callable[..., Any], seed: int
) -> None:
    found = prepared(vcc2018, corpus18, seed)
    assert found.apart(lambda one: one.sentence)
    assert found.of(lambda one: one.sentence)["test"] == set(SCORED)
    folders = found.of(lambda one: one.wav.parent.parent.name)
    assert folders["train"] == folders["dev"] == {"vcc2018_training"}
    assert folders["test"] == {"vcc2018_evaluation", "vcc2018_reference"}
    speakers = ("VCC2SF1", "VCC2SM3", "VCC2TF1", "VCC2TM2")
    assert all(data.speakers == speakers for data in found.splits.values())
    # those who read the same sentences validate on the same ones
    dev = {one.id for one in found.splits["dev"]}
    held = {key.split("-")[1] for key in dev if key.startswith("VCC2SF1")}
    assert {key for key in dev if key[4] == "T"} == {
        f"{speaker}-{sentence}" for speaker in ("VCC2TF1", "VCC2TM2") for sentence in held
    }
    one = found.all["VCC2SM3-20001"]
    assert (one.text, one.sentence, one.domain) == ("Words of 20001.", "20001", "speech")
    assert found.all["VCC2TF1-30001"].text == "Words of 30001."


def test_vcc2018_rejects_a_scored_sentence_among_the_training_ones(
    corpus18: Path, prepared: Callable[..., Any], put: Callable[..., None]
) -> None:
    put(corpus18 / "VCC2018" / "vcc2018_training" / "VCC2SF1" / "30002.wav", 22050)
    put(corpus18 / "VCC2018" / "vcc2018_reference" / "VCC2TF1" / "10002.wav", 22050)
    found = prepared(vcc2018, corpus18)
    assert found.rejected == {
        "30002.wav": "no sentence of vcc2018_training: '30002'",
        "10002.wav": "no sentence of vcc2018_reference: '10002'",
    }
    assert found.apart(lambda one: one.sentence)


def test_vcc2020_keeps_languages_apart_and_reads_their_words(
    tmp_path: Path, prepared: Callable[..., Any], put: Callable[..., None]
) -> None:
    root = tmp_path / "VCC2020-database"
    first, second = (range(10001, 10013), range(20001, 20006))
    said = {
        "source/SEF1": [f"E{k}" for k in first],
        "target_task1/TEM2": [f"E{k}" for k in (*range(10011, 10013), *second)],
        "target_task2/TFF1": [f"F{k}" for k in first],
        "target_task2/TMM1": [f"M{k}" for k in first],
        "vcc2020_database_evaluation/SEF1": ["E30001", "E30002"],
        "vcc2020_database_groundtruth/TEM2": ["E30001", "E30002"],
        "vcc2020_database_groundtruth/TFF1": ["E30001"],
    }
    for folder, sentences in said.items():
        for sentence in sentences:
            put(root / folder / f"{sentence}.wav", 24000)
    (root / "source" / "SEF1" / "._E10001.wav").write_bytes(b"Mac OS X")
    words = root / "vcc2020_database_transcriptions" / "transcriptions_training"
    words.mkdir(parents=True)
    tables = {
        "Eng": "E10001 In reality, it does.\nE10011\tTwice.\n",
        "Man": "M10001 \u4f60\u597d\n",
    }
    for language, table in tables.items():
        name = f"vcc2020_database_training_{language}_transcriptions.txt"
        (words / name).write_text(table, encoding="utf-8")
    found = prepared(vcc2020, tmp_path)
    assert not found.rejected and found.apart(lambda one: one.sentence)
    assert {one.id for one in found.splits["test"]} == {
        "SEF1-E30001", "SEF1-E30002", "TEM2-E30001", "TEM2-E30002", "TFF1-E30001",
    }  # fmt: skip
    assert set(found.splits["train"].speakers) == {"SEF1", "TEM2", "TFF1", "TMM1"}
    assert found.all["SEF1-E10001"].text == "In reality, it does."
    assert found.all["SEF1-E10011"].text == found.all["TEM2-E10011"].text == "Twice."
    assert found.all["TMM1-M10001"].text == "\u4f60\u597d"
    assert found.all["TFF1-F10001"].sentence != found.all["SEF1-E10001"].sentence


@pytest.mark.parametrize("module", [vcc2018, vcc2020])
def test_another_folder_is_one_line(module: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no VCC20.. \(Voice Conversion"):
        module.find(tmp_path)
    with pytest.raises(DataError, match="there; expected VCC20"):
        module.prepare(tmp_path, tmp_path / "out", seed=0)

"""`vctool evaluate FOLDER --task vocoders`: what any vocoder made of recordings."""

import json
from pathlib import Path

import pytest

from tests.evaluation.vocoders.test_run import sing
from vctool import audio
from vctool.errors import DataError
from vctool.evaluation.page import figures
from vctool.evaluation.task import score_folder

RATE = 16000


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two recordings, and what a vocoder made of them: the same, but softer and shorter."""
    for number in range(2):
        wave = sing(number, 0.8)
        audio.write(tmp_path / "true" / f"{number}.wav", wave, RATE)
        audio.write(tmp_path / "made" / f"{number}_resynthesised.wav", 0.5 * wave[:-50], RATE)
    return tmp_path


@pytest.mark.usefixtures("no_judges")
def test_outputs_stand_beside_vocoders_that_need_no_training(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "SHOWN", 1)
    said = score_folder(folders / "made", "vocoders", {"reference": folders / "true"})
    out = folders / "made" / "evaluation"
    measures = json.loads((out / "results.json").read_text())["measures"]
    assert list(measures["lsd"]) == ["recording", "griffin_lim", "world", "model"]
    assert measures["lsd"]["model"]["value"] < 1.0 < measures["lsd"]["griffin_lim"]["value"]
    assert set(measures["rtf"]) == {"griffin_lim", "world"}  # how long the other took, who knows
    assert "| model |" in said and "2 recordings are scored" in said
    assert (out / "wav" / "world" / "0.wav").is_file() and not (out / "wav" / "model").exists()


def test_an_output_of_another_length_is_one_line(folders: Path) -> None:
    audio.write(folders / "made" / "1_resynthesised.wav", sing(1, 0.9), RATE)
    with pytest.raises(DataError, match=r"made/1_resy.*0\.900 s long.*true/1\.wav 0\.800 s; a voc"):
        score_folder(folders / "made", "vocoders", {"reference": folders / "true"})

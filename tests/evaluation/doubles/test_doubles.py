"""`vctool evaluate TAKES --task doubles`."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.sounds import speak
from vctool import audio
from vctool.errors import DataError
from vctool.evaluation.doubles.run import lag
from vctool.evaluation.task import score_folder
from vctool.inference.double import DoubleSettings
from vctool.inference.double_output import double_files
from vctool.metrics.pitch import RATE


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two leads, takes that other recordings stand for, and second takes that begin later."""
    for place, name in enumerate(("one", "two")):
        wave = 0.5 * speak(place, 130 + 90 * place, 1.5)
        audio.write(tmp_path / "leads" / f"{name}.wav", wave, RATE)
        later = np.concatenate([np.zeros(4800), 0.5 * speak(place, 132 + 90 * place, 1.5)])
        audio.write(tmp_path / "second" / f"{name}.wav", later, RATE)
    return tmp_path


def test_doubles_are_scored_beside_all_that_stands_for_them(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distillmos", None)  # slow, and tested where it is
    double_files([str(folders / "leads")], settings=DoubleSettings(seed=2), out=folders / "takes")
    given = {"reference": folders / "leads", "second_takes": folders / "second"}
    text = score_folder(folders / "takes", "doubles", given)
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    assert rows[2:] == [
        *("second take", "copy", "delay", "chorus", "tape double", "detune", "resynthesis"),
        "model",
    ]
    out = folders / "takes" / "evaluation"
    measures = json.loads((out / "results.json").read_text())["measures"]
    assert measures["take_sum"]["copy"]["value"] == pytest.approx(6.02, abs=0.01)
    distance = {name: one["value"] for name, one in measures["take_distance"].items()}
    assert distance["model"] < min(distance[name] for name in ("copy", "delay", "chorus"))
    assert measures["take_distance"]["chorus"]["versus"]["model"][0] > 0
    assert measures["singer"]["model"]["value"] > 0.8
    report = (out / "RESULTS.md").read_text()
    assert "- copy: fails, distance" in report and "- timing: 26.8 (18.4 to 35) ms" in report


def test_a_second_take_is_laid_beside_its_lead(folders: Path) -> None:
    waves = [audio.read(folders / name / "one.wav")[0] for name in ("leads", "second")]
    assert lag(*waves) == pytest.approx(-4800, abs=320)


@pytest.mark.parametrize("fault", ["longer", "silent", "alone"])
def test_takes_that_cannot_be_compared_are_refused_by_name(folders: Path, fault: str) -> None:
    wave = audio.read(folders / "leads" / "two.wav")[0]
    for name in ("one", "two"):
        audio.write(folders / "takes" / f"{name}.wav", wave, RATE)
    given = {"reference": folders / "leads"}
    if fault == "longer":
        audio.write(folders / "takes" / "two.wav", np.tile(wave, 2), RATE)
        told = "two.wav: 3.00 s long, its lead"
    elif fault == "silent":
        audio.write(folders / "leads" / "two.wav", np.zeros_like(wave), RATE)
        told = "two.wav: silent"
    else:
        (folders / "second" / "two.wav").unlink()
        given["second_takes"] = folders / "second"
        told = "second"
    with pytest.raises(DataError, match=told):
        score_folder(folders / "takes", "doubles", given)

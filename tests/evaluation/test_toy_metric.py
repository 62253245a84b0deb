"""A metric is one file: what a toy in a folder elsewhere gets without any other edit."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import vctool.metrics
from vctool import audio
from vctool.evaluation.page import figures, utterances
from vctool.evaluation.page.compare import compare, rows
from vctool.evaluation.voices.board import VoiceBoard, VoiceTask
from vctool.evaluation.voices.folders import run_folder
from vctool.metrics import base

RATE = 16000
TOY = '''
"""How loud an output is beside the target's sentence; a toy."""

import numpy as np

from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.voice_analysis import VoiceAnalysis

TITLE = "toy loudness"
MEASURES = {"toy": Measure("toy level", "dB", "higher", "power over the target's")}
BOARDS = {"voices": Stand(15), "singing": Stand(15)}
NEEDS = ("targets",)
SETTINGS = "mean square over all samples"


def measure(row: Row[VoiceAnalysis]) -> dict[str, Pooled]:
    level = [
        10 * np.log10(np.mean(np.square(one)) / np.mean(np.square(other)))
        for one, other in zip(row.outputs.waves, row.targets.waves, strict=True)
    ]
    return {"toy": ratio(np.array(level), np.ones(len(level)))}
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A metric in a folder that `vctool/metrics` knows of as a part of itself."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "toy_loudness.py").write_text(TOY)
    monkeypatch.setattr(vctool.metrics, "__path__", [*vctool.metrics.__path__, str(folder)])
    yield "toy_loudness"
    sys.modules.pop("vctool.metrics.toy_loudness", None)
    vars(vctool.metrics).pop("toy_loudness", None)


def test_a_toy_metric_stands_wherever_metrics_do(
    toy: str,
    tmp_path: Path,
    say: Callable[..., np.ndarray],
    no_judges: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert toy in [metric.name for metric in base.on_board("singing")]
    monkeypatch.setattr(figures, "SHOWN", 1)
    for number in range(2):  # conversions that are the target's sentences at half their level
        for folder, who, gain in (
            ("source", "low", 1),
            ("target", "high", 1),
            ("out", "high", 0.5),
        ):
            wave = (gain * say(number, who, 0.3)).astype(np.float32)
            audio.write(tmp_path / folder / f"s{number}.wav", wave, RATE)
    first, second = tmp_path / "first", tmp_path / "second"
    table = run_folder(
        tmp_path / "out", first, reference=tmp_path / "target", source=tmp_path / "source"
    )
    heads = table.splitlines()[0].split(" | ")
    # its place is 15, content's 10
    assert heads[1:5] == ["content kept", "phone distance", "content by mel", "toy level"]

    text = (first / "RESULTS.md").read_text()
    assert "- **toy level** [dB]: power over the target's; the higher the better" in text
    assert "- **toy loudness**: mean square over all samples" in text
    result = json.loads((first / "results.json").read_text())
    assert result["measures"]["toy"]["model"]["value"] == pytest.approx(-6.02, abs=0.1)
    assert result["measures"]["toy"]["target"]["value"] == 0.0
    assert result["settings"]["toy loudness"] == "mean square over all samples"

    shutil.copytree(first, second)
    values = utterances.read(first / utterances.NAME)
    values["toy"]["model"] = {name: value - 6 for name, value in values["toy"]["model"].items()}
    columns = {
        measure: {system: np.array(list(own.values())) for system, own in systems.items()}
        for measure, systems in {"toy": values["toy"]}.items()
    }
    utterances.write(second / utterances.NAME, list(values["toy"]["model"]), columns)
    found = compare(first, second)
    assert found.differences["toy"].value == pytest.approx(6)
    (row,) = rows(found)
    # results.json has the value of before
    assert row[0] == "toy level [dB], by utterance"
    assert row[4] == "-"  # two utterances prove nothing
    proven = {"toy": replace(found.differences["toy"], p=0.01)}
    (row,) = rows(replace(found, differences=proven))
    assert row[4] == "a"  # the louder is the better


def test_what_a_toy_metric_needs_and_lacks_is_named(
    toy: str, say: Callable[..., np.ndarray], no_judges: None
) -> None:
    waves = [say(number, "low", 0.3) for number in range(2)]
    board = VoiceBoard(VoiceTask(RATE, waves, None, waves, waves, waves))
    board.add("model", waves)
    assert board.not_run["toy loudness"] == "no recordings of the same sentences by the target"
    assert "toy" not in board.scores(100) and "toy loudness" not in board.settings()


def test_without_its_file_it_is_gone() -> None:
    assert "toy" not in base.measures()

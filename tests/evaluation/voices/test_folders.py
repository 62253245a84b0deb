"""Scoring folders of recordings that any system made."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vctool import audio, cli
from vctool.errors import ConfigError, DataError
from vctool.evaluation.board import anchored_board
from vctool.evaluation.page.compare import compare
from vctool.evaluation.voices import baselines
from vctool.evaluation.voices.board import VoiceTask
from vctool.evaluation.voices.folders import ENOUGH, MOST, gather

RATE = 16000


def fill(folder: Path, names: list[str]) -> Path:
    """Write very short recordings; gathering asks for names alone."""
    for name in names:
        audio.write(folder / f"{name}.wav", np.full(10, 0.1, np.float32), RATE)
    return folder


def stems(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


SENTENCES = [f"2000{index:02d}" for index in range(1, 25)]


def test_parallel_folders_are_scored_on_what_they_share(tmp_path: Path) -> None:
    made = fill(tmp_path / "made", [f"{name}.TM3" for name in SENTENCES[:12]])
    source = fill(tmp_path / "source", [f"SF1-{name}" for name in SENTENCES])
    target = fill(tmp_path / "target", [f"TM3-{name}" for name in SENTENCES])
    found = gather(made, target, source, made / "evaluation")
    assert found.names == [f"SF1-{name}" for name in SENTENCES[:12]]
    assert stems(found.sources) == found.names
    assert stems(found.outputs) == [f"{name}.TM3" for name in SENTENCES[:12]]
    assert found.targets is not None and found.targets == found.target_recordings
    assert stems(found.targets) == [f"TM3-{name}" for name in SENTENCES[:12]]
    # what is scored teaches the anchors nothing
    assert stems(found.source_training) == [f"SF1-{name}" for name in SENTENCES[12:]]
    assert stems(found.target_training) == [f"TM3-{name}" for name in SENTENCES[12:]]
    assert found.cautions == found.notes == []


def test_other_sentences_are_an_unpaired_reference(tmp_path: Path) -> None:
    made = fill(tmp_path / "made", SENTENCES[:12])
    source = fill(tmp_path / "source", SENTENCES)
    target = fill(tmp_path / "target", [f"TM3-9{index:02d}" for index in range(20)])
    found = gather(made, target, source, tmp_path / "out")
    assert found.targets is None and len(found.target_recordings) == 10
    assert not set(found.target_recordings) & set(found.target_training)
    # equal numbers need not be equal sentences: the user may say so
    same = fill(tmp_path / "same", SENTENCES)
    assert gather(made, same, source, tmp_path / "out").targets is not None
    assert gather(made, same, source, tmp_path / "out", unpaired=True).targets is None


def test_what_flatters_or_is_left_out_is_said(tmp_path: Path) -> None:
    made = fill(tmp_path / "made", [*SENTENCES[:4], "999999"])
    source = fill(tmp_path / "source", SENTENCES[:4])
    target = fill(tmp_path / "target", [*SENTENCES[1:4], *SENTENCES[10:20]])
    found = gather(made, target, source, tmp_path / "out")
    told = "\n".join(found.notes + found.cautions)
    assert "1 conversion(s) without a source are left out: 999999" in told
    assert "1 source(s) without a reference are left out: 200001" in told
    assert f"1 recording(s) of the source in {source} are not scored" in told
    assert "of the target in" not in told  # ten that are not scored
    assert found.names == SENTENCES[1:4]
    assert stems(found.source_training) == SENTENCES[:4]
    assert len(found.target_training) == 10 >= ENOUGH


def test_results_below_the_recordings_are_no_recordings(tmp_path: Path) -> None:
    made = fill(tmp_path, SENTENCES[:3])
    fill(tmp_path / "evaluation", ["200001"])
    source = fill(tmp_path / "source", SENTENCES)
    target = fill(tmp_path / "target", SENTENCES)
    found = gather(made, target, source, tmp_path / "evaluation")
    assert found.outputs == [tmp_path / f"{name}.wav" for name in SENTENCES[:3]]


def test_many_recordings_are_thinned_evenly(tmp_path: Path) -> None:
    names = [f"{index:04d}" for index in range(2 * MOST + 30)]
    made = fill(tmp_path / "made", names[:20])
    source = fill(tmp_path / "source", names)
    found = gather(made, source, source, tmp_path / "out")
    assert MOST / 2 <= len(found.source_training) <= MOST
    assert stems(found.source_training)[-1] > names[-5]


def test_folders_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    made = fill(tmp_path / "made", ["a_1", "a_2"])
    source = fill(tmp_path / "source", ["x7", "x8"])
    with pytest.raises(DataError, match=r"0 of 2 recordings have a source.*'a_1' and 'x7'"):
        gather(made, source, source, tmp_path / "out")
    with pytest.raises(DataError, match=r"nowhere: no such folder; .* hold the references"):
        gather(made, tmp_path / "nowhere", made, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: holds no audio; .* hold the sources"):
        gather(made, made, tmp_path / "empty", tmp_path / "out")
    (made / "a_1.flac").write_bytes((made / "a_1.wav").read_bytes())
    with pytest.raises(DataError, match=r"a_1\.wav: differs from .*a_1\.flac by its ending"):
        gather(made, source, source, tmp_path / "out")
    for clash in ("p/1", "p_1"):
        fill(tmp_path / "both", [clash])
    with pytest.raises(DataError, match="another source has the same name"):
        gather(tmp_path / "both", tmp_path / "both", tmp_path / "both", tmp_path / "out")


SCORED = 3
Say = Callable[..., np.ndarray]


@pytest.fixture
def voices(tmp_path: Path, say: Say, no_judges: None) -> Path:
    """Folders `source` and `target` of eleven sentences; `good` has three of the target's as
    somebody's conversions, `bad` the source's own."""
    for number in range(SCORED + ENOUGH):
        for folder, who in (("source", "low"), ("target", "high")):
            audio.write(tmp_path / folder / f"s{number}.wav", say(number, who, 0.7), RATE)
    for number in range(SCORED):
        audio.write(tmp_path / "good" / f"s{number}_converted.wav", say(number, "high", 0.7), RATE)
        audio.write(tmp_path / "bad" / f"s{number}.high.wav", say(number, "low", 0.7), RATE)
    return tmp_path


def evaluate(made: Path, *options: str) -> str:
    folder = made.parent
    arguments = [str(made), "--reference", str(folder / "target"), "--source"]
    said = CliRunner().invoke(
        cli.app, ["evaluate", *arguments, str(folder / "source"), "--nj", "1", *options]
    )
    assert said.exit_code == 0, said.exception
    return said.stdout


def test_any_systems_recordings_get_the_table_of_stage_6(voices: Path, tmp_path: Path) -> None:
    told = evaluate(voices / "good")
    out = voices / "good" / "evaluation"
    result = json.loads((out / "results.json").read_text())
    assert set(result["measures"]["mcd"]) == {*baselines.SYSTEMS, "model"}
    assert result["measures"]["mcd"]["model"]["value"] == 0.0  # they are the target's own
    # the anchors are those of a board that was told by hand what belongs together
    read = {
        name: [audio.read(voices / name / f"s{n}.wav")[0] for n in range(SCORED + ENOUGH)]
        for name in ("source", "target")
    }
    scored, spare = slice(0, SCORED), slice(SCORED, None)
    real = read["target"][scored]
    order = np.argsort([f"s{n}" for n in range(SCORED, SCORED + ENOUGH)])
    training = [[read[name][spare][k] for k in order] for name in ("target", "source")]
    board = anchored_board(VoiceTask(RATE, read["source"][scored], real, real, *training))
    for measure, row in board.scores(resamples=100).items():
        for name, score in row.items():
            value = result["measures"][measure][name]["value"]
            known = None if np.isnan(score.value) else pytest.approx(score.value)
            assert value == known, (measure, name)
    assert told.startswith("| system | content kept |") and "\n| mean-variance |" in told
    page = (out / "report.html").read_text()
    assert page.count("<audio") == SCORED * len(result["systems"])
    # and two systems' folders are compared, by the sources' names
    evaluate(voices / "bad", "--out", str(tmp_path / "elsewhere"))
    difference = compare(out, tmp_path / "elsewhere").differences["mcd"]
    assert (difference.first, difference.count) == (0.0, SCORED) and difference.high < 0


def test_a_reference_of_other_sentences_leaves_measures_out(voices: Path) -> None:
    evaluate(voices / "good", "--unpaired")
    result = json.loads((voices / "good" / "evaluation" / "results.json").read_text())
    assert {"MCD", "F0 error"} < set(result["not_run"]) and "mcd" not in result["measures"]
    assert not {"MCD", "F0 error"} & set(result["settings"])
    assert "gv_ratio" in result["measures"] and "f0_distribution" in result["measures"]
    assert "other sentences" not in " ".join(result["cautions"])


def test_a_reference_that_only_looks_paired_is_suspected(voices: Path, say: Say) -> None:
    evaluate(voices / "good")
    results = voices / "good" / "evaluation" / "results.json"
    before = json.loads(results.read_text())
    assert before["measures"]["mcd"]["model"]["value"] == 0.0
    for number in range(SCORED):  # the files are of the same names and sizes
        audio.write(voices / "target" / f"s{number}.wav", say(number + 50, "high", 0.7), RATE)
    evaluate(voices / "good")
    after = json.loads(results.read_text())
    assert after["measures"]["mcd"]["model"]["value"] > 1.0
    assert after["data_hash"] != before["data_hash"]
    text = (voices / "good" / "evaluation" / "RESULTS.md").read_text()
    assert "they may be other sentences." in text and "?." not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["made"], "--reference and --source: not given"),
        (["--reference", "x"], "FOLDER and --source: not given"),
        (["--unpaired"], "FOLDER and --reference and --source: not given"),
        (["m", "--reference", "x", "--source", "y", "--set", "a=1"], "m: --recipe, --set"),
        (["m", "--reference", "x", "--source", "y", "--recipe", "mini"], "m: --recipe, --set"),
    ],
)
def test_half_a_request_is_one_line(arguments: list[str], message: str) -> None:
    said = CliRunner().invoke(cli.app, ["evaluate", *arguments])
    assert isinstance(said.exception, ConfigError) and str(said.exception).startswith(message)

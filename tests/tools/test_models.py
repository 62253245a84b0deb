"""`vctool models`: what is known of every model without its weights."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vctool import models
from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.engine import checkpoint, manifest
from vctool.errors import CheckpointError
from vctool.evaluation.page import report, table, verdict
from vctool.experiment import places
from vctool.features.settings import FeatureConfig
from vctool.models import base
from vctool.tools import models as tool


@pytest.mark.parametrize("name", base.families())
def test_what_is_read_of_a_family_is_what_it_declares(name: str) -> None:
    system, read = base.family(name), models.declared(name)
    assert read.untrained == system.untrained
    assert read.takes_reference == system.takes_reference
    assert read.only_references == system.only_references
    assert read.settings is not None
    assert read.settings[1] == system.Config.__name__
    assert read.settings[0] == system.Config.__module__


def test_rows_are_called_as_reports_call_them() -> None:
    assert (tool.MODEL, tool.COPY) == (report.MODEL, table.COPY)
    assert tool.BEATEN == verdict.BEATEN


def save(folder: Path, family: str = "cyclegan_vc", **recipe: object) -> Path:
    """Save an untaught model between two speakers as an experiment."""
    system = base.family(family)
    tree = read_yaml(PROJECT_ROOT / "conf" / family / "tiny.yaml")
    features = build(FeatureConfig, read_yaml(PROJECT_ROOT / "conf/features/16k_mcep.yaml"), "f")
    context = base.Context(features=features, vocoder="world", roles=("SF1", "TM3"))
    made = system(build(system.Config, tree.get("model", {}), "tiny"), context)
    checkpoint.save(
        folder / "checkpoints",
        made,
        family=family,
        step=12,
        recipe={"corpus": {"name": "vcc2016", "source": "SF1", "target": "TM3"}, **recipe},
    )
    return folder


def only(name: str) -> tool.Model:
    (found,) = (one for one in tool.inventory() if one.id == name)
    return found


def test_an_experiment_is_described_without_its_weights(workdir: Path) -> None:
    folder = save(workdir / "exp" / "pair")
    (weights,) = folder.rglob("model.safetensors")
    size = weights.stat().st_size
    weights.write_bytes(b"\0" * size)  # nothing of them is read
    one = only("pair")
    assert (one.family, one.rate, one.step, one.size) == ("cyclegan_vc", 16000, 12, size)
    assert one.source == one.target == ("SF1", "TM3")
    assert one.licence == "CC BY 4.0" and not one.non_commercial
    assert one.loads and one.score is None
    assert one.plain()["from"] == ["SF1", "TM3"]


def test_an_experiment_is_described_by_the_checkpoint_that_converts(workdir: Path) -> None:
    checkpoints = save(Path("exp/mine")) / "checkpoints"
    shutil.copytree(checkpoints / "step-00000012", checkpoints / "step-00000004")
    state = checkpoints / "step-00000004" / "state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"step": 4}))
    manifest.note(checkpoints, "step-00000004", 1.0)
    manifest.note(checkpoints, "step-00000012", 2.0)
    assert only("mine").step == 12
    manifest.choose(checkpoints, "best")
    assert only("mine").step == 4


def test_families_that_need_no_training_are_listed(workdir: Path) -> None:
    one = only("knn_vc")
    assert (one.source, one.target, one.loads) == (("anyone",), ("recordings",), True)


def test_what_cannot_be_loaded_says_why(workdir: Path) -> None:
    folder = save(workdir / "exp" / "pair")
    state = next(folder.rglob("state.json"))
    written = json.loads(state.read_text())

    def problem(**changes: object) -> str:
        state.write_text(json.dumps(written | changes))
        one = only("pair")
        assert not one.loads
        return one.problem

    assert "no family 'later'" in problem(family="later")
    assert "no field 'depth'" in problem(config=written["config"] | {"depth": 3})
    assert "format 99" in problem(format=99)
    gone = written["context"] | {"vocoder": "exp/gone"}
    assert "its vocoder exp/gone is not here" in problem(context=gone)
    state.write_text(json.dumps(written))
    next(folder.rglob("model.safetensors")).write_bytes(b"half")
    assert "half written" in only("pair").problem


def test_the_headline_is_the_first_measure_with_a_way_to_go(workdir: Path) -> None:
    folder = save(workdir / "exp" / "pair")
    row = {"value": 1.0, "low": 0.9, "high": 1.1, "gap": None, "gap_low": None, "gap_high": None}
    far = row | {"value": 3.0, "low": 2.0, "high": 4.0, "gap": 0.5, "gap_low": 0.4, "gap_high": 0.6}
    results = {
        "measures": {
            "kept_words": {"model": row, "copy": row},
            "far_away": {"model": far, "copy": row, "snap": row | {"value": 7.0}},
        },
        "systems": {"snap": "held: the formula to beat"},
    }
    (folder / "results.json").write_text(json.dumps(results))
    score = only("pair").score
    assert score is not None
    assert (score.measure, score.value, score.low, score.high) == ("far away", 3.0, 2.0, 4.0)
    assert (score.copy, score.formula, score.formula_name, score.gap) == (1.0, 7.0, "snap", 0.5)
    assert "far away 3 (2..4), snap 7" in [
        cell for line in tool.rows([only("pair")]) for cell in line
    ]


def test_a_model_is_found_by_its_name_in_every_place(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = save(workdir / "elsewhere" / "pair")
    monkeypatch.setenv(places.VARIABLE, str(workdir / "elsewhere"))
    assert places.locate("pair") == there
    here = save(workdir / "exp" / "pair")
    assert places.locate("pair") == Path("exp/pair")
    assert {one.id for one in tool.inventory()} >= {"pair", str(there)}
    assert places.locate(there) == there and here.is_dir()
    with pytest.raises(CheckpointError, match=r"no such model here.*did you mean 'pair'"):
        places.locate("pare")
    assert places.locate("exp/pare") == Path("exp/pare")  # its reader says what is wrong
    assert places.locate("knn_vc") == Path("knn_vc")


def test_a_list_takes_no_torch_and_goes_to_programs(workdir: Path) -> None:
    first = save(workdir / "exp" / "pair0")
    for index in range(1, 3):
        shutil.copytree(first, workdir / "exp" / f"pair{index}")
    code = (
        "import sys; from vctool.cli import app; "
        "app(['models', '--json'], standalone_mode=False); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed = {one["id"]: one for one in json.loads(done.stdout)}
    assert listed.keys() >= {"pair0", "pair1", "pair2", "knn_vc"}
    assert listed["pair1"]["to"] == ["SF1", "TM3"]

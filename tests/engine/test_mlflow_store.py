"""What a training logs for MLflow: the points of `metrics.jsonl`, each once."""

import json
from pathlib import Path
from types import ModuleType

import pytest
import yaml


def points(out: Path) -> dict[str, list[tuple[int, float]]]:
    """Return what metrics.jsonl holds, by MLflow's names."""
    found: dict[str, list[tuple[int, float]]] = {}
    for text in (out / "log" / "metrics.jsonl").read_text().splitlines():
        line = json.loads(text)
        step, split = line.pop("step"), line.pop("split")
        for name, value in line.items():
            found.setdefault(f"{split}/{name}", []).append((step, value))
    return found


def stored(out: Path) -> tuple[Path, dict[str, list[tuple[int, float]]]]:
    (run,) = (out / "mlruns" / "0").glob("*/")
    found = {}
    for path in (run / "metrics").rglob("*"):
        if path.is_file():
            lines = [line.split() for line in path.read_text().splitlines()]
            name = path.relative_to(run / "metrics").as_posix()
            found[name] = [(int(step), float(value)) for _, value, step in lines]
    return run, found


def test_a_training_that_went_on_is_one_run_with_each_point_once(
    toy: ModuleType, tmp_path: Path
) -> None:
    toy.trainer(tmp_path, steps=6, save_every=4, tracking="mlflow").run()
    toy.trainer(tmp_path, steps=10, tracking="mlflow").run()
    run, found = stored(tmp_path)
    assert found == points(tmp_path) and found["train/total/generator"]
    steps = [step for step, _ in found["train/total/generator"]]
    assert steps == sorted(set(steps)) and steps[-1] == 10
    about = yaml.safe_load((run / "meta.yaml").read_text())
    assert about["status"] == 3 and about["end_time"] >= about["start_time"]
    assert about["run_id"] == run.name and about["run_name"] == tmp_path.name
    assert (run / "params" / "learning_rate").read_text() == "0.01"
    assert (run / "params" / "weights.generator.adversarial").read_text() == "1.0"


def test_later_points_are_deleted(tmp_path: Path) -> None:
    from vctool.engine.mlflow_store import MlflowStore

    store = MlflowStore(tmp_path / "mlruns", "one", {})
    store.rewind(0)
    for step in (1, 2, 3):
        store.write(step, "train", {"total/generator": step / 3})
    store.rewind(2)
    store.write(3, "train", {"total/generator": 5.0})
    _, found = stored(tmp_path)
    assert found == {"train/total/generator": [(1, 1 / 3), (2, 2 / 3), (3, 5.0)]}


def test_nothing_of_it_is_written_unless_asked_for(toy: ModuleType, tmp_path: Path) -> None:
    toy.trainer(tmp_path, steps=2).run()
    assert not (tmp_path / "mlruns").exists()


def test_mlflow_reads_it(toy: ModuleType, tmp_path: Path) -> None:
    """Where MLflow is: its protobuf is older than the one that onnx needs."""
    tracking = pytest.importorskip("mlflow.tracking")
    toy.trainer(tmp_path, steps=4, tracking="mlflow").run()
    client = tracking.MlflowClient((tmp_path / "mlruns").as_uri())
    (run,) = client.search_runs(["0"])
    assert run.info.status == "FINISHED" and run.data.params["learning_rate"] == "0.01"
    name = "train/total/generator"
    history = [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)]
    assert history == points(tmp_path)[name]

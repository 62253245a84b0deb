"""A file store of MLflow, written without it: what a training logged, for `mlflow ui`.

    mlruns/0/meta.yaml                     the experiment
    mlruns/0/<run>/meta.yaml               the run: one for each training, however often it stopped
    mlruns/0/<run>/params/<name>           a value
    mlruns/0/<run>/metrics/<split>/<name>  a line for each point: milliseconds, value, step

MLflow itself asks for an older protobuf than onnx does, and so cannot be installed beside it; in an
environment of its own, `mlflow ui --backend-store-uri exp/NAME/mlruns` shows the store. The layout
is that of its `FileStore`; JSON is YAML too.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EXPERIMENT = "0"
"""MLflow's default experiment, which is always there."""
RUNNING, FINISHED = 1, 3
"""States of a run."""


class MlflowStore:
    """One run in a store of its own.

    Args:
        folder: the store.
        name: of the run.
        params: settings by name; inner ones are named by their path.
    """

    def __init__(self, folder: Path, name: str, params: Mapping[str, Any]) -> None:
        self._folder, self._name = folder / EXPERIMENT, name
        self._id = hashlib.sha256(name.encode()).hexdigest()[:32]
        self._run = self._folder / self._id
        self._params = dict(_flat(params))

    def rewind(self, step: int) -> None:
        """Begin or go on after a step: later points are deleted."""
        for part in ("metrics", "params", "tags", "artifacts"):
            (self._run / part).mkdir(parents=True, exist_ok=True)
        for path in (self._run / "metrics").rglob("*"):
            if path.is_file():
                lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
                kept = [line for line in lines if len(line.split()) == 3 and _step(line) <= step]
                _replace(path, "".join(kept))
        for name, value in self._params.items():
            _replace(self._run / "params" / name, str(value))
        _replace(self._run / "tags" / "mlflow.runName", self._name)
        now = _now()
        if not (self._folder / "meta.yaml").is_file():
            experiment = {
                "artifact_location": self._folder.absolute().as_uri(),
                "creation_time": now,
                "experiment_id": EXPERIMENT,
                "last_update_time": now,
                "lifecycle_stage": "active",
                "name": "Default",
            }
            _replace(self._folder / "meta.yaml", json.dumps(experiment))
        self._describe(RUNNING, None)

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Append a point to each metric."""
        now = _now()
        for name, value in values.items():
            path = self._run / "metrics" / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{now} {float(value)!r} {step}\n")

    def close(self) -> None:
        """Mark the run as finished."""
        self._describe(FINISHED, _now())

    def _describe(self, status: int, end: int | None) -> None:
        path = self._run / "meta.yaml"
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        run = {
            "artifact_uri": (self._run / "artifacts").absolute().as_uri(),
            "end_time": end,
            "entry_point_name": "",
            "experiment_id": EXPERIMENT,
            "lifecycle_stage": "active",
            "run_id": self._id,
            "run_name": self._name,
            "run_uuid": self._id,
            "source_name": "",
            "source_type": 4,
            "source_version": "",
            "start_time": known.get("start_time", _now()),
            "status": status,
            "tags": [],
            "user_id": "",
        }
        _replace(path, json.dumps(run))


def _flat(tree: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{name}.")
        else:
            found.append((before + name, value))
    return found


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def _step(line: str) -> int:
    return int(line.split()[2])


def _now() -> int:
    return round(1000 * time.time())

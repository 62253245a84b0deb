"""Experiments as the page lists them: scores, reports, sentences to hear, training in progress."""

import json
import time
from pathlib import Path
from typing import Any

from vctool.app.looking import key
from vctool.checkpoints import latest, read_manifest
from vctool.errors import CheckpointError
from vctool.experiment import places

REPORT = "report.html"
SENTENCES = 12
"""Most sentences of an experiment that can be heard."""

FRESH_SECONDS = 600.0
"""A journal that was written in the last ten minutes is of a training in progress."""


def listed() -> list[dict[str, Any]]:
    """List the experiments that were scored or are in training.

    Returns:
        For each `key`, `name`, `verdict` (the first sentences of its RESULTS.md), `scores` (rows
        of measure, model, best formula), `report` (its path or None), `sounds` (name and path of
        converted sentences) and `training` (what is known of its progress, or None).
    """
    found = []
    for one in places.found():
        if not one.path.is_dir():
            continue
        results = _results(one.path)
        training = _training(one.path)
        if results is None and training is None:
            continue
        report = one.path / REPORT
        found.append(
            {
                "key": key(str(one.path)),
                "name": one.name,
                "scores": _rows(results or {}),
                "cautions": [str(told) for told in (results or {}).get("cautions", [])],
                "report": str(report) if report.is_file() else None,
                "sounds": _sounds(one.path),
                "training": training,
            }
        )
    return found


def _results(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / "results.json").read_text("utf-8"))
    except (OSError, ValueError):  # not scored, or just being written
        return None
    return found if isinstance(found, dict) and isinstance(found.get("measures"), dict) else None


def _rows(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every measure of the model, with its interval, beside the copy and real recordings."""
    rows = []
    for measure, row in results.get("measures", {}).items():
        own = row.get("model")
        if not isinstance(own, dict) or not isinstance(own.get("value"), int | float):
            continue
        others = {
            name: one["value"]
            for name, one in row.items()
            if name != "model" and isinstance(one.get("value"), int | float)
        }
        kept = {name: own.get(name) for name in ("value", "low", "high", "gap")}
        rows.append({"measure": measure.replace("_", " "), **kept, "others": others})
    return rows


def _sounds(folder: Path) -> list[tuple[str, str]]:
    """Return names and paths of converted sentences, in the order of their names."""
    waves = sorted((folder / "wav").rglob("*.wav"))[:SENTENCES]
    return [(str(path.relative_to(folder / "wav").with_suffix("")), str(path)) for path in waves]


def _training(folder: Path) -> dict[str, Any] | None:
    """Return how far a training is, where one is in progress."""
    journal = folder / "log" / "metrics.jsonl"
    try:
        if time.time() - journal.stat().st_mtime > FRESH_SECONDS:
            return None
        last = json.loads(journal.read_text("utf-8").splitlines()[-1])
        best = read_manifest(folder / "checkpoints").get("best_score")
    except (OSError, ValueError, IndexError, CheckpointError):  # none, or a line half written
        return None
    saved = latest(folder / "checkpoints")
    return {
        "step": last.get("step"),
        "best": best,
        "saved": None if saved is None else saved.name,
        "losses": {name: one for name, one in last.items() if name.startswith("total/")},
    }

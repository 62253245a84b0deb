"""The recipe `mini`, tiny, through the real command line: made once, skipped, changed."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STAGES = ("download", "features", "train", "infer", "synthesize", "evaluate")


def test_status_says_done_and_every_stage_is_skipped(
    trained: Any, tiny_settings: tuple[str, ...]
) -> None:
    said = trained.vctool("status", *tiny_settings)
    assert said.returncode == 0, said.stderr
    assert [line.split()[1:3] for line in said.stdout.splitlines()[2:]] == [
        *([name, "done"] for name in STAGES),
        ["export", "not"],  # only on demand
    ]
    for stage in ("download", "train", "evaluate"):  # `.ci/run` sees all of them skipped
        assert "done already, nothing changed" in trained.vctool(stage, *tiny_settings).stderr


def test_results_are_there_in_both_forms(trained: Any) -> None:
    folder = trained.folder / "exp" / "mini"
    text = (folder / "RESULTS.md").read_text()
    assert json.loads((folder / "results.json").read_text())
    for anchor in ("copy", "snap", "drone"):
        assert anchor in text.lower()


def test_status_names_the_input_that_changed(trained: Any, tiny_settings: tuple[str, ...]) -> None:
    said = trained.vctool("status", *tiny_settings, "--set", "convert.stretch=2")
    lines = {line.split()[1]: line for line in said.stdout.splitlines()[1:]}
    assert lines["train"].split()[2] == "done"
    assert "stale" in lines["infer"] and "convert.stretch 1.5 -> 2.0" in lines["infer"]
    assert "stale" in lines["evaluate"]


def test_a_changed_model_is_refused_with_its_fields_and_the_way_out(
    trained: Any, tiny_settings: tuple[str, ...]
) -> None:
    said = trained.vctool("train", *tiny_settings, "--set", "model.kernel=3")
    assert said.returncode == 2
    assert "stage 3 train failed:" in said.stderr
    assert "kernel: 5 -> 3" in said.stderr
    assert "--fresh" in said.stderr
    assert "Traceback" not in said.stderr
    assert said.stderr.splitlines()[-1].startswith("rerun: vctool train --set ")


def test_stages_over_a_cluster_write_the_same_bytes(
    trained: Any,
    tiny_settings: tuple[str, ...],
    loopback: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(trained.folder, folder)
    monkeypatch.setattr(trained, "folder", folder)
    made = loopback(code=Path(trained.variables["PYTHONPATH"]))

    def digests() -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for place in ("dump", "exp/mini/infer", "exp/mini/wav", "exp/mini/wav_shuffled")
            for path in sorted((folder / place).rglob("*"))
            # a lock says who held it, and a cache is what training and scoring left
            if path.is_file() and path.suffix not in (".lock", ".sqlite")
        }

    before = digests()
    shutil.rmtree(folder / "dump")
    for stage, fresh in {"features": [], "infer": ["--fresh"], "synthesize": ["--fresh"]}.items():
        said = trained.vctool(stage, *tiny_settings, *fresh, "--scheduler", made.address)
        assert said.returncode == 0, said.stderr
        assert f"{made.address}: 2 tasks at a time" in said.stderr
    assert digests() == before
    assert any(name.endswith(".wav") for name in before)

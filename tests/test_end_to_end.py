"""The recipe `mini`, tiny, through the real command line: made once, skipped, changed."""

import json
from typing import Any

STAGES = ("download", "features", "train", "infer", "synthesize", "evaluate")


def test_status_says_done_and_every_stage_is_skipped(
    trained: Any, tiny_settings: tuple[str, ...]
) -> None:
    said = trained.vctool("status", *tiny_settings)
    assert said.returncode == 0, said.stderr
    assert [line.split()[1:3] for line in said.stdout.splitlines()[1:]] == [
        [name, "done"] for name in STAGES
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

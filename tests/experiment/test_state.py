"""Records of stages: skipping, staleness, half-done work, failures, kills and locks."""

import errno
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from filelock import lock_descriptor

from vctool import checkpoints, durable, locks
from vctool.data import atomic
from vctool.data.store import StoreWriter
from vctool.errors import AudioError, DataError
from vctool.experiment import hashes, plan, state, written
from vctool.experiment.recipe import Recipe

TREE = {
    "name": "toy",
    "family": "toy",
    "corpus": {"speech": "talks", "singing": "songs"},
    "features": {},
    "train": {"steps": 10},
    "vocoder": "griffin_lim",
}

CHILD = """
import sys, time
from pathlib import Path
from vctool.experiment.recipe import Recipe
from vctool.experiment import state
def work():
    Path("exp/toy/infer").mkdir(parents=True)
    Path("exp/toy/infer/one").touch()
    print("working", flush=True)
    time.sleep(60)
state.run(Recipe(**{tree!r}), "infer", work)
"""


@pytest.fixture(autouse=True)
def _toy_family(monkeypatch: pytest.MonkeyPatch, workdir: Path) -> None:
    monkeypatch.setattr(plan, "kinds", lambda recipe, split=None: ("mel", "accomp_mel"))
    monkeypatch.setattr(plan, "model_config", lambda recipe: ToyModel())
    monkeypatch.setattr(plan, "check", lambda recipe: None)
    monkeypatch.setattr(plan, "borrowed", lambda recipe: ())


class ToyModel:
    def model_dump(self, **_: object) -> dict[str, object]:
        return {"channels": 4}


def recipe(**fields: object) -> Recipe:
    return Recipe.model_validate(TREE | fields)


def make(entry: str, **fields: object) -> Callable[[], None]:
    """Return work that leaves what a stage leaves."""
    here = recipe(**fields)

    def work() -> None:
        paths = plan.stage(entry).outputs(here)
        if entry == "train":
            folder = here.exp / "checkpoints" / "step-00000010"
            folder.mkdir(parents=True, exist_ok=True)
            model = folder / "model.safetensors"
            model.write_bytes(f"{here.train.steps}".encode())
            fields = {"format": 1, "family": "toy", "step": here.train.steps}
            fields |= {key: {} for key in ("config", "context", "recipe", "train")}
            fields |= {"files": {model.name: model.stat().st_size}}
            fields |= {"digests": {model.name: checkpoints.digest(model)}}
            (folder / "state.json").write_text(json.dumps(fields))
            return
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.name == "feats.scp":
                with StoreWriter(path.parent, "mel", {}):
                    pass
            elif path.suffix:
                path.write_text(entry)
            else:
                path.mkdir(exist_ok=True)

    return work


def run_all(**fields: object) -> list[str]:
    """Run every stage as run.sh does; return the names of those that were not skipped."""
    names = [entry.name for entry in plan.STAGES]
    return [n for n in names if state.run(recipe(**fields), n, make(n, **fields))]


def states(**fields: object) -> dict[str, str]:
    return {entry.name: verdict.state for entry, verdict in state.survey(recipe(**fields))}


def test_everything_runs_once_and_is_skipped_then() -> None:
    assert set(states().values()) == {"not done"}
    assert run_all() == [entry.name for entry in plan.STAGES]
    assert set(states().values()) == {"done"}
    assert run_all() == []


@pytest.mark.parametrize(
    ("field", "value", "first", "named"),
    [
        ("train", {"steps": 20}, "train", "train.steps 10 -> 20"),
        ("features", {"n_mels": 40}, "features", "features.n_mels 128 -> 40"),
        ("convert", {"stretch": 1.5}, "infer", "convert.stretch 1.0 -> 1.5"),
        ("vocoder", "world", "synthesize", "vocoder griffin_lim -> world"),
        ("evaluate", {"bootstrap": 100}, "evaluate", "evaluate.bootstrap 1000 -> 100"),
    ],
)
def test_a_changed_field_names_itself_and_makes_all_that_follows_stale(
    field: str, value: object, first: str, named: str
) -> None:
    run_all()
    survey = state.survey(recipe(**{field: value}))
    found = {entry.name: verdict for entry, verdict in survey}
    order = [entry.name for entry in plan.STAGES]
    before, after = order[: order.index(first)], order[order.index(first) :]
    if first not in ("features", "train"):  # a model is exported as it was trained
        before, after = [*before, "export"], [one for one in after if one != "export"]
    assert {found[name].state for name in before} == {"done"}
    assert {found[name].state for name in after} == {"stale"}
    assert named in found[first].reason
    assert run_all(**{field: value}) == after


def test_fields_that_decide_only_when_to_write_change_nothing() -> None:
    run_all()
    assert run_all(train={"steps": 10, "save_every": 1, "validate_every": 2, "keep": 9}) == []


def test_changed_data_make_features_stale_and_name_the_corpus() -> None:
    run_all()
    Path("data/songs/train/wav.scp").write_text("other")
    verdict = {e.name: v for e, v in state.survey(recipe())}["features"]
    assert verdict.state == "stale"
    assert verdict.reason == "data/songs changed"


def test_a_command_takes_each_hash_once_and_the_next_one_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_all()
    taken: list[str] = []
    tables, file_digest = hashes._tables, hashlib.file_digest

    def counted(corpus: Path) -> str:
        taken.append(corpus.name)
        return tables(corpus)

    def digested(file: Any, kind: str) -> Any:
        taken.append(file.name)
        return file_digest(file, kind)

    monkeypatch.setattr(hashes, "_tables", counted)
    monkeypatch.setattr(hashlib, "file_digest", digested)
    weights = "exp/toy/checkpoints/step-00000010/model.safetensors"
    assert set(states().values()) == {"done"}
    assert taken == ["talks", "songs", weights]
    taken.clear()
    state.run(recipe(), "evaluate", make("evaluate"), force=True)
    assert sorted(taken) == sorted(["talks", "songs", weights])
    Path(weights).write_bytes(b"other")
    assert states()["infer"] == "stale"


def test_a_deleted_output_is_half_done() -> None:
    run_all()
    Path("exp/toy/RESULTS.md").unlink()
    assert states()["evaluate"] == "half done"
    assert run_all() == ["evaluate"]


def test_results_of_other_inputs_are_thrown_away_and_half_done_work_is_kept() -> None:
    run_all()
    exp = recipe().exp
    leftover, own = exp / "infer" / "half.tsv", exp / "infer" / "notes.md"
    written.note(exp, "infer", [leftover])
    for file in (leftover, own):
        file.write_text("half")
    path = state.record_path(recipe(), plan.stage("infer"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "begun"}))
    assert states()["infer"] == "half done"
    state.run(recipe(), "infer", make("infer"))
    assert leftover.exists()
    changed = {"convert": {"stretch": 2.0}}
    state.run(recipe(**changed), "infer", make("infer", **changed))
    assert not leftover.exists() and own.exists()
    written.note(exp, "infer", [leftover])
    leftover.write_text("whole")
    state.run(recipe(**changed), "infer", make("infer", **changed), force=True)
    assert not leftover.exists() and own.exists()


def test_a_stage_is_done_when_all_that_it_wrote_is_on_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    settle, replace = durable.settle, os.replace

    def settled(folders: Iterable[Path]) -> None:
        known = list(folders)
        seen.append("settled")
        assert {Path("data"), Path("exp/toy/infer"), Path("exp/toy/stages")} <= set(known)
        settle(known)

    def renamed(source: Path, target: Path) -> None:
        if Path(target).name == "infer.json":
            seen.append(json.loads(Path(source).read_text())["status"])
        replace(source, target)

    for name in ("download", "features", "train"):
        state.run(recipe(), name, make(name))
    monkeypatch.setattr(atomic, "settle", settled)
    monkeypatch.setattr(os, "replace", renamed)
    state.run(recipe(), "infer", make("infer"))
    assert seen == ["begun", "settled", "done"]


def test_an_edited_recording_makes_all_from_features_on_stale_and_a_touched_one_nothing() -> None:
    run_all()
    wav = Path("a.wav")
    wav.write_bytes(b"1234")
    Path("data/songs/train/wav.scp").write_text("ann-a ../../../a.wav\n")
    run_all()
    assert set(states().values()) == {"done"}
    wav.touch()
    assert set(states().values()) == {"done"}
    wav.write_bytes(b"4321")
    after = ("features", "train", "infer", "synthesize", "evaluate", "export")
    stale = dict.fromkeys(after, "stale")
    assert states() == {"download": "done"} | stale


def test_stage_3_is_not_done_where_its_weights_are_damaged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_all()
    weights = Path("exp/toy/checkpoints/step-00000010/model.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    state.run(recipe(), "train", make("train"), dry_run=True)
    assert f"half done ({weights}: damaged): would run" in capsys.readouterr().out
    assert state.run(recipe(), "train", make("train"))
    weights.unlink()
    state.run(recipe(), "train", make("train"), dry_run=True)
    assert "would run" in capsys.readouterr().out
    assert state.run(recipe(), "train", make("train"))
    assert not state.run(recipe(), "train", make("train"))


def test_sounds_that_were_edited_are_scored_again() -> None:
    run_all()
    sound = Path("exp/toy/wav/a.wav")
    sound.parent.mkdir(exist_ok=True)
    written.note(recipe().exp, "synthesize", [sound])
    sound.write_bytes(b"1234")
    run_all()
    sound.touch()
    assert set(states().values()) == {"done"}
    sound.write_bytes(b"4321")
    assert states() == dict.fromkeys(states(), "done") | {"evaluate": "stale"}
    assert run_all() == ["evaluate"]


def test_a_users_mistake_is_told_with_cause_log_and_rerun(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(state.RERUN_VARIABLE, "./run.sh --recipe toy --stage 1")
    caplog.set_level(logging.DEBUG)

    def work() -> None:
        logging.getLogger("vctool").info("reading talks")
        raise DataError("talks/a.wav: empty file; remove it")

    with pytest.raises(state.StageFailed) as caught:
        state.run(recipe(), "download", work)
    text = str(caught.value)
    assert caught.value.exit_code == 2
    assert text.startswith("stage 1 download failed: talks/a.wav: empty file; remove it\n")
    assert "INFO reading talks" in text
    assert text.endswith("rerun: ./run.sh --recipe toy --stage 1")
    assert "Traceback" not in state.log_path(recipe(), plan.stage("download")).read_text()
    verdict = state.judge(recipe(), plan.stage("download"))
    assert (verdict.state, verdict.reason) == (
        "half done",
        "failed: talks/a.wav: empty file; remove it",
    )


def test_a_programmers_mistake_keeps_its_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)

    def work() -> None:
        raise ZeroDivisionError("by zero")

    with pytest.raises(state.StageFailed) as caught:
        state.run(recipe(), "download", work)
    assert caught.value.exit_code == 1
    assert "ZeroDivisionError: by zero" in str(caught.value)
    assert "Traceback" in state.log_path(recipe(), plan.stage("download")).read_text()


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), SystemExit(130)])
def test_an_interrupt_is_recorded_and_leaves_with_130(ending: BaseException) -> None:
    def work() -> None:
        raise ending

    with pytest.raises(state.StageFailed, match="interrupted") as caught:
        state.run(recipe(), "download", work)
    assert caught.value.exit_code == 130
    assert state.judge(recipe(), plan.stage("download")).reason == "was interrupted"


def test_a_stage_without_what_it_needs_says_which_stage_makes_it() -> None:
    state.run(recipe(), "download", make("download"))
    with pytest.raises(DataError, match=r"run \./run\.sh --recipe x --stage 2$"):
        state.run(recipe(), "train", make("train"), options="--recipe x")


def test_a_dry_run_writes_nothing(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state.run(recipe(), "train", make("train"), dry_run=True)
    assert capsys.readouterr().out == "stage 3 train: not done: would run\n"
    assert list(workdir.iterdir()) == []


def test_only_the_first_of_several_processes_keeps_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_all()
    calls: list[str] = []
    monkeypatch.setenv("RANK", "1")
    state.run(recipe(), "train", lambda: calls.append("done already"))
    before = state.record_path(recipe(), plan.stage("train")).read_text()
    state.run(recipe(train={"steps": 20}), "train", lambda: calls.append("more steps"))
    assert calls == ["more steps"]
    assert state.record_path(recipe(), plan.stage("train")).read_text() == before


def test_a_killed_stage_is_half_done_and_a_living_one_is_running(tmp_path: Path) -> None:
    run_all()
    state.record_path(recipe(), plan.stage("infer")).unlink()
    for path in Path("exp/toy/infer").iterdir():
        path.unlink()
    Path("exp/toy/infer").rmdir()
    patches = (
        "from vctool.experiment import plan\n"
        "class Model:\n    def model_dump(self, **_): return {'channels': 4}\n"
        "plan.kinds = lambda recipe, split=None: ('mel', 'accomp_mel')\n"
        "plan.model_config = lambda recipe: Model()\n"
        "plan.check = lambda recipe: None\n"
        "plan.borrowed = lambda recipe: ()\n"
        "class System:\n    builds_on = staticmethod(lambda config: {})\n"
        "plan.system = lambda recipe: System\n"
    )
    script = patches + CHILD.replace("{tree!r}", repr(TREE))
    root = Path(plan.__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "working\n"
        assert states()["infer"] == "running"
        with pytest.raises(DataError, match=rf"is running already \(process {child.pid} on "):
            state.run(recipe(), "infer", make("infer"))
        child.send_signal(signal.SIGKILL)
    verdict = state.judge(recipe(), plan.stage("infer"))
    assert (verdict.state, verdict.reason) == ("half done", "was killed")
    state.run(recipe(), "infer", make("infer"))
    assert Path("exp/toy/infer/one").exists(), "half-done work was thrown away"
    assert states()["infer"] == "done"


def test_asking_for_the_status_never_makes_a_stage_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    run_all()

    def slowly(file: int, blocking: bool) -> bool:
        had = lock_descriptor(file, blocking=blocking)
        time.sleep(0.001)  # so that a stage that starts meets the question
        return had

    monkeypatch.setattr(locks, "lock_descriptor", slowly)
    over = threading.Event()
    seen: Counter[str] = Counter()

    def ask() -> None:
        while not over.is_set():
            seen.update([states()["infer"]])

    def slow() -> None:
        while not seen["running"]:
            time.sleep(0.01)
        raise DataError("slow")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(20):
            assert state.run(recipe(), "infer", make("infer"), force=True)
        with pytest.raises(state.StageFailed, match="slow"):
            state.run(recipe(), "infer", slow, force=True)
    finally:
        over.set()
        asking.join()
    assert seen["running"]


def test_a_full_disk_says_what_to_do() -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(
        state.StageFailed, match=r"No space left on device; free some space"
    ) as caught:
        state.run(recipe(), "download", full)
    assert caught.value.exit_code == 2
    assert "[Errno" not in str(caught.value).splitlines()[0]


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (AudioError("a.wav: empty file; copy it again"), "download failed: a.wav: empty file"),
        (OSError(errno.ENOSPC, "No space left on device", "dump/x"), "failed: dump/x: No space"),
        (ValueError("a mistake"), "failed: ValueError: a mistake"),
        (KeyboardInterrupt(), "was interrupted; what is done is kept"),
    ],
)
def test_a_failure_that_cannot_be_recorded_is_told_by_its_own_cause(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    ending: BaseException,
    told: str,
) -> None:
    log = state.log_path(recipe(), plan.stage("download"))
    log.parent.mkdir(parents=True)
    log.symlink_to("/dev/full")  # the log's disk is full from the beginning

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def work() -> None:
        monkeypatch.setattr(os, "replace", full)
        raise ending

    # the tail of /dev/full has no end
    monkeypatch.setattr(state, "_failure", lambda recipe, entry, cause: f"download failed: {cause}")
    replace = os.replace
    with pytest.raises(state.StageFailed) as caught:
        state.run(recipe(), "download", work)
    monkeypatch.setattr(os, "replace", replace)
    assert told in str(caught.value)
    said = [line for line in caplog.messages if "counts as killed" in line]
    assert said == [
        "exp/toy/stages/download.json: cannot be written: No space left on device; the stage "
        "counts as killed"
    ]
    assert "Logging error" not in capsys.readouterr().err
    assert json.loads(Path("exp/toy/stages/download.json").read_text())["status"] == "begun"


DONE = {"status": "done", "inputs": {}, "started": "", "seconds": 1.5}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{}", "lacks inputs, seconds, started, status"),
        ("[]", "holds no mapping"),
        ("{", "not JSON: .*"),
        ("[" * 100_000, "not JSON: .*"),
        (json.dumps({"status": "done", "inputs": {}}), "lacks seconds, started"),
        (json.dumps({**DONE, "inputs": ["train"]}), r"its inputs is \['train'\], not a mapping"),
        (json.dumps({**DONE, "seconds": "1.5"}), "its seconds is '1.5', not a number"),
        (json.dumps({**DONE, "status": True}), "its status is True, not text"),
    ],
)
def test_a_record_that_is_something_else_says_so(text: str, why: str) -> None:
    path = state.record_path(recipe(), plan.stage("download"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    with pytest.raises(DataError, match=rf"^\S*load.json: not a stage's record \({why}\); delete"):
        state.survey(recipe())
    path.write_text(json.dumps(DONE))
    assert states()["download"] == "stale"

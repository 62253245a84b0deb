import json
import logging
import os
import re
import signal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from vctool.engine import checkpoint, distributed, loop, manifest
from vctool.engine.loop import Trainer
from vctool.errors import CheckpointError, TrainingError
from vctool.features.stats import SpeakerStats


def weights(out: Path) -> dict[str, torch.Tensor]:
    folder = manifest.find(out)
    return {
        f"{file}/{name}": value
        for file in ("model", "optimizer")
        for name, value in checkpoint.read_tensors(folder / f"{file}.safetensors").items()
    }


def assert_same(one: Path, two: Path) -> None:
    first, second = weights(one), weights(two)
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert not different


def interrupted(trainer: Trainer, step: int, number: int = signal.SIGINT) -> None:
    """Run until a signal arrives in the middle of a step."""
    inner, sent = trainer.system.objectives, []

    def objectives(batch: Any, at: int) -> Any:
        for item in inner(batch, at):
            if at == step and not sent:
                sent.append(at)
                os.kill(os.getpid(), number)
            yield item

    trainer.system.objectives = objectives  # type: ignore[method-assign]
    trainer.run()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten steps in one go, with noise."""
    import toy_family

    out = tmp_path_factory.mktemp("undisturbed")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    toy_family.trainer(out, model={"noise": 0.1}).run()
    torch.set_num_threads(before)
    return out


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log/metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("step", [0, 2, 3, 8])
def test_stopped_anywhere_and_resumed_equals_undisturbed_bit_for_bit(
    toy: ModuleType, undisturbed: Path, tmp_path: Path, step: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(toy.trainer(tmp_path, model={"noise": 0.1}), step)
    assert checkpoint.read_state(manifest.find(tmp_path))["step"] == step + 1
    torch.manual_seed(99)  # nothing may hang on what the process drew before
    toy.trainer(tmp_path, model={"noise": 0.1}).run()
    assert_same(tmp_path, undisturbed)


def test_resuming_sets_nothing_up_again(toy: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(toy.trainer(tmp_path), 3)
    trainer = toy.trainer(tmp_path)
    trainer.run()
    assert trainer.system.setups == 0
    assert trainer.system.mean.abs().sum() > 0


def learns_nothing(toy: ModuleType, out: Path, data: Any, **changes: Any) -> Trainer:
    class Still(toy.System):  # type: ignore[misc, name-defined]
        discriminator_groups = ()

        def groups(self) -> dict[str, Any]:
            return {}

    system = Still(toy.Config(), toy.CONTEXT).requires_grad_(False)
    return Trainer(system, data, None, toy.train_config(weights={}), out, family="toy", **changes)


def test_a_system_that_learns_nothing_is_set_up_and_saved_once(
    toy: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = learns_nothing(toy, tmp_path, toy.Data(4)).run()
    assert folder == tmp_path / "checkpoints" / "step-00000000"
    assert [path.name for path in (tmp_path / "checkpoints").glob("step-*")] == [folder.name]
    mean = toy.Data(4).batch(0).speech.mean((0, 2))
    assert torch.equal(weights(tmp_path)["model/mean"][:, 0], mean)
    written = (folder / "state.json").stat().st_mtime_ns
    caplog.set_level(logging.INFO)
    again = learns_nothing(toy, tmp_path, toy.Data(4))
    again.run()
    assert (folder / "state.json").stat().st_mtime_ns == written
    assert again.system.setups == 0 and "already trained to step 0" in caplog.text


def test_nothing_is_set_up_without_data_nor_twice(toy: ModuleType, tmp_path: Path) -> None:
    learns_nothing(toy, tmp_path / "without", None).run()
    assert not weights(tmp_path / "without")["model/mean"].any()
    learns_nothing(toy, tmp_path / "fitted", toy.Data(4), fitted=True).run()
    assert not weights(tmp_path / "fitted")["model/mean"].any()
    with pytest.raises(AssertionError, match="toy: learns without batches"):
        Trainer(toy.build(), None, None, toy.train_config(), tmp_path, family="toy")


def test_sigterm_saves_and_ends_with_its_status(toy: ModuleType, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)  # ignored where the tests run in the background
    with pytest.raises(SystemExit) as ended:
        interrupted(toy.trainer(tmp_path), 2, signal.SIGTERM)
    assert ended.value.code == 143
    assert checkpoint.read_state(manifest.find(tmp_path))["step"] == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_a_finished_run_is_left_as_it_is(
    toy: ModuleType, undisturbed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = manifest.find(undisturbed).stat().st_mtime_ns
    with caplog.at_level(logging.INFO):
        toy.trainer(undisturbed, model={"noise": 0.1}).run()
    assert "already trained to step 10" in caplog.text
    assert manifest.find(undisturbed).stat().st_mtime_ns == before


def test_more_steps_go_on_from_the_last_checkpoint_with_a_notice(
    toy: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    toy.trainer(tmp_path, steps=4).run()
    toy.trainer(tmp_path, steps=6).run()
    assert checkpoint.read_state(manifest.find(tmp_path))["step"] == 6
    assert "changed settings: train.steps: 4 -> 6" in caplog.text


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"seed": 5}, r"train\.seed: 0 -> 5"),
        ({"learning_rate": 0.5}, r"train\.learning_rate"),
        ({"batch_size": 2}, r"train\.batch_size"),
        ({"steps": 3}, r"is trained to step 4 .*train\.steps: 4 -> 3"),
    ],
)
def test_settings_that_nothing_would_be_trained_with_are_refused(
    toy: ModuleType, tmp_path: Path, train: dict[str, Any], said: str
) -> None:
    toy.trainer(tmp_path, steps=4).run()
    with pytest.raises(CheckpointError, match=said):
        toy.trainer(tmp_path, **({"steps": 4} | train)).run()
    toy.trainer(tmp_path, steps=4, log_every=1, keep=3).run()  # what is kept changes no weight
    assert checkpoint.read_state(manifest.find(tmp_path))["train"]["seed"] == 0


def test_settings_that_came_later_do_not_keep_an_older_run_from_going_on(
    toy: ModuleType, undisturbed: Path, tmp_path: Path
) -> None:
    toy.trainer(tmp_path, model={"noise": 0.1}, steps=4).run()
    path = manifest.find(tmp_path) / "state.json"
    state = json.loads(path.read_text())
    del state["context"]["added"], state["context"]["features"]["win_length"]
    path.write_text(json.dumps(state))
    toy.trainer(tmp_path, model={"noise": 0.1}, steps=6).run()
    assert checkpoint.read_state(manifest.find(tmp_path))["step"] == 6
    state["context"]["features"]["n_mels"] = 9
    state["config"]["gone"] = 1
    (manifest.find(tmp_path) / "state.json").write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match=r"config\.gone: 1 -> unset"):
        toy.trainer(tmp_path, model={"noise": 0.1}, steps=8).run()


def test_a_changed_model_config_is_refused_by_field_until_fresh(
    toy: ModuleType, tmp_path: Path
) -> None:
    toy.trainer(tmp_path, steps=2).run()
    changed = toy.trainer(tmp_path, steps=2, model={"width": 4})
    with pytest.raises(CheckpointError, match=r"config\.width: 8 -> 4.*--fresh"):
        changed.run()
    toy.trainer(tmp_path, steps=2, model={"width": 4}).run(fresh=True)
    assert checkpoint.load(tmp_path)[0].config.width == 4
    assert [line["step"] for line in lines(tmp_path)] == [2, 2]


def test_fresh_deletes_checkpoints_alone_and_keeps_a_link_to_another_disk(
    toy: ModuleType, tmp_path: Path
) -> None:
    disk, checkpoints = tmp_path / "disk", tmp_path / "exp" / "checkpoints"
    for folder in (disk, checkpoints.parent):
        folder.mkdir()
    checkpoints.symlink_to(disk)
    toy.trainer(checkpoints.parent, steps=4).run()
    (disk / "notes.md").write_text("the best so far")
    (disk / "step-00000009").mkdir()  # half deleted
    toy.trainer(checkpoints.parent, steps=2, model={"width": 4}).run(fresh=True)
    assert checkpoints.is_symlink()
    assert {path.name for path in disk.iterdir()} == {
        *("manifest.json", "notes.md", "step-00000000", "step-00000002"),
    }
    assert checkpoint.read_state(checkpoints / "step-00000002")["config"]["width"] == 4


def test_a_checkpoint_is_on_the_disk_before_the_manifest_names_it(
    toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(file: int) -> None:
        calls.append(Path(os.readlink(f"/proc/self/fd/{file}")).name)
        fsync(file)

    def renamed(source: Path, target: Path) -> None:
        calls.append(f"to {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    checkpoint.save(tmp_path / "checkpoints", toy.build(), family="toy", step=7)
    files, there = calls[:3], calls[4:]
    assert files == ["model.safetensors", "optimizer.safetensors", "state.json"]
    assert calls[3].startswith(".tmp-step-00000007")
    beside = there[2]
    assert there == ["to step-00000007", "checkpoints", beside, "to manifest.json", "checkpoints"]
    assert beside.endswith(".tmp")


def test_a_changed_feature_setting_is_refused(toy: ModuleType, tmp_path: Path) -> None:
    toy.trainer(tmp_path, steps=2).run()
    changed = toy.trainer(tmp_path, steps=2)
    features = changed.system.context.features.model_copy(update={"top_db": 60.0})
    changed.system.context = changed.system.context.model_copy(update={"features": features})
    with pytest.raises(CheckpointError, match=r"context\.features\.top_db: 80\.0 -> 60\.0"):
        changed.run()


def with_data(trainer: Trainer, mean: float, **recordings: tuple[int, str]) -> Trainer:
    """Let a trainer's context hold F0 statistics, and say what its roles are trained on."""
    stats = SpeakerStats(
        log_f0_mean=mean, log_f0_std=0.2, f0_floor=60, f0_ceil=300, voiced_frames=100
    )
    domains = dict.fromkeys(recordings, stats)
    trainer.system.context = trainer.system.context.model_copy(
        update={"domains": domains, "speakers": domains}
    )
    trainer.recordings = {
        role: {"utterances": count, "content": content}
        for role, (count, content) in recordings.items()
    }
    return trainer


@pytest.mark.parametrize(
    ("mean", "recordings", "told"),
    [
        (5.1, {"ann": (14, "b"), "ben": (9, "a")}, r"\(ann: 12 utterances -> 14\)"),
        (5.1, {"ann": (12, "b"), "ben": (9, "a")}, r"\(ann: other recordings\)"),
        (5.1, {"ann": (12, "b"), "ben": (8, "b")}, r"\(ann: other r.*; ben: 9 utt.* -> 8\)"),
        (5.1, {"ann": (12, "a"), "ben": (9, "a")}, r"\(F0 statistics of ann; F0 statistics of ben"),
    ],
)
def test_changed_training_data_are_refused_by_what_changed(
    toy: ModuleType,
    tmp_path: Path,
    mean: float,
    recordings: dict[str, tuple[int, str]],
    told: str,
) -> None:
    before = {"ann": (12, "a"), "ben": (9, "a")}
    with_data(toy.trainer(tmp_path, steps=2), 5.0, **before).run()
    with pytest.raises(CheckpointError) as caught:
        with_data(toy.trainer(tmp_path, steps=4), mean, **recordings).run()
    said = str(caught.value)
    assert re.search(rf"step-00000002: the training data have changed since step 2 {told}", said)
    assert "under another name (--set name=...)" in said and "log_f0_mean" not in said
    with_data(toy.trainer(tmp_path, steps=4), 5.0, **before).run()


def test_data_that_changed_without_their_statistics_are_warned_of(
    toy: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with_data(toy.trainer(tmp_path, steps=2), 5.0, ann=(12, "a")).run()
    assert "changed data" not in caplog.text
    with_data(toy.trainer(tmp_path, steps=4), 5.0, ann=(12, "b")).run()
    assert "going on with changed data: ann: other recordings" in caplog.text
    caplog.clear()
    path = manifest.find(tmp_path) / "state.json"
    state = json.loads(path.read_text())
    del state["data"]  # a checkpoint of before they were noted
    path.write_text(json.dumps(state))
    with_data(toy.trainer(tmp_path, steps=6), 5.0, ann=(12, "c")).run()
    assert "changed data" not in caplog.text


def test_changed_settings_that_move_the_statistics_are_told_as_settings(
    toy: ModuleType, tmp_path: Path
) -> None:
    with_data(toy.trainer(tmp_path, steps=2), 5.0, ann=(12, "a")).run()
    changed = with_data(toy.trainer(tmp_path, steps=4), 5.1, ann=(12, "b"))
    features = changed.system.context.features.model_copy(update={"f0_ceil": 700.0})
    changed.system.context = changed.system.context.model_copy(update={"features": features})
    with pytest.raises(CheckpointError, match=r"other settings \(context\.features\.f0_ceil: "):
        changed.run()


def test_validation_changes_no_weight_that_follows(
    toy: ModuleType, undisturbed: Path, tmp_path: Path
) -> None:
    toy.trainer(tmp_path, model={"noise": 0.1}, validate_every=1).run()
    assert_same(tmp_path, undisturbed)


def test_metrics_hold_one_line_for_every_report_and_validation(undisturbed: Path) -> None:
    points = [(line["step"], line["split"]) for line in lines(undisturbed)]
    train = [(step, "train") for step in (2, 4, 6, 8, 10)]
    assert points == [*train[:2], (4, "dev"), *train[2:4], (8, "dev"), train[4], (10, "dev")]
    assert {"generator/identity", "total/generator", "grad_norm/generator"} <= lines(undisturbed)[
        0
    ].keys()
    assert list((undisturbed / "tensorboard").glob("events*"))


def test_resuming_forgets_the_points_that_are_trained_again(
    toy: ModuleType, undisturbed: Path, tmp_path: Path
) -> None:
    toy.trainer(tmp_path, model={"noise": 0.1}).run()
    for step in (8, 10):
        checkpoint.manifest.remove(tmp_path / f"checkpoints/step-{step:08d}")
    with (tmp_path / "log/metrics.jsonl").open("a") as file:
        file.write('{"step": 10, "spl')  # what a kill in the middle of a line leaves
    toy.trainer(tmp_path, model={"noise": 0.1}).run()
    plain = [{k: v for k, v in line.items() if "seconds" not in k} for line in lines(tmp_path)]
    assert plain == [
        {k: v for k, v in line.items() if "seconds" not in k} for line in lines(undisturbed)
    ]


def spoil(trainer: Trainer, step: int, times: int = 10**9) -> Trainer:
    """Make the loss of one step not finite, the first few times that it is tried."""
    inner, left = trainer.system.objectives, [times]

    def objectives(batch: Any, at: int) -> Any:
        for group, terms in inner(batch, at):
            if at == step and left[0] > 0:
                left[0] -= 1
                terms = {name: value * float("nan") for name, value in terms.items()}
            yield group, terms

    trainer.system.objectives = objectives  # type: ignore[method-assign]
    return trainer


def test_a_non_finite_loss_rolls_back_with_half_the_step_size_and_names_utterances(
    toy: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(toy.trainer(tmp_path), 6, times=1).run()
    assert "step 7: not finite: generator/adversarial" in caplog.text
    assert "utterances utt-6-0, utt-6-1, utt-6-2, utt-6-3; back to step 4 with 0.5" in caplog.text
    state = checkpoint.load(tmp_path)[1]
    assert (state["step"], state["progress"]["scale"], state["progress"]["rollbacks"]) == (
        10,
        0.5,
        1,
    )
    rates = {
        line["step"]: line["learning_rate/generator"]
        for line in lines(tmp_path)
        if line["split"] == "train"
    }
    assert (rates[4], rates[6]) == (1e-2, 0.5e-2)


@pytest.mark.parametrize("save_every", [4, 7])
def test_a_bad_step_that_is_read_late_leaves_the_same_weights(
    toy: ModuleType, tmp_path: Path, save_every: int
) -> None:
    # reading at every report against reading one step late; step 6 is a pace of neither checkpoint
    for name, log_every in (("at-once", 1), ("late", 1000)):
        trainer = toy.trainer(tmp_path / name, log_every=log_every, save_every=save_every)
        spoil(trainer, 5, times=1).run()
    assert_same(tmp_path / "at-once", tmp_path / "late")


def test_an_error_that_a_bad_step_leads_to_rolls_back_to_before_it(
    toy: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = spoil(toy.trainer(tmp_path, log_every=1000), 5, times=1)
    inner = trainer.system.objectives

    def strict(batch: Any, at: int) -> Any:
        if not all(torch.isfinite(p).all() for p in trainer.system.parameters()):
            raise ValueError("weights are not finite")
        yield from inner(batch, at)

    trainer.system.objectives = strict
    trainer.run()
    assert "step 6: not finite" in caplog.text
    assert checkpoint.load(tmp_path)[1]["step"] == 10


def test_an_error_of_a_step_itself_is_raised(toy: ModuleType, tmp_path: Path) -> None:
    trainer = toy.trainer(tmp_path, log_every=1000)
    inner = trainer.system.objectives

    def faulty(batch: Any, at: int) -> Any:
        if at == 5:
            raise ValueError("no such frame")
        yield from inner(batch, at)

    trainer.system.objectives = faulty
    with pytest.raises(ValueError, match="no such frame"):
        trainer.run()


def test_a_step_is_queued_before_the_flags_of_the_last_are_read(
    toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, events = toy.trainer(tmp_path, steps=4, log_every=1000, save_every=1000), []
    inner, read = trainer.system.objectives, distributed.Flags.read

    def objectives(batch: Any, at: int) -> Any:
        events.append(f"step {at}")
        yield from inner(batch, at)

    def noted(flags: distributed.Flags) -> list[bool]:
        events.append("read")
        return read(flags)

    trainer.system.objectives = objectives
    trainer.valid = None
    trainer._begin(fresh=False)
    monkeypatch.setattr(distributed.Flags, "read", noted)
    trainer._train(0)
    assert events == ["step 0", "step 1", "read", "step 2", "read", "step 3", "read", "read"]


def test_a_loss_that_stays_non_finite_ends_the_training_plainly(
    toy: ModuleType, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"step 6: .*utt-5-0.*gave up after 2 rollbacks.*lower"):
        spoil(toy.trainer(tmp_path, retries=2), 5).run()
    assert checkpoint.load(tmp_path)[1]["step"] == 4


def test_bad_data_rolls_back_too(toy: ModuleType, tmp_path: Path) -> None:
    trainer = toy.trainer(tmp_path, retries=0)
    trainer.data.bad_steps = {2}
    with pytest.raises(TrainingError, match="utt-2-0"):
        trainer.run()


def test_an_interrupted_run_recovers_as_an_undisturbed_one(toy: ModuleType, tmp_path: Path) -> None:
    spoil(toy.trainer(tmp_path / "one"), 6, times=1).run()
    with pytest.raises(KeyboardInterrupt):
        interrupted(toy.trainer(tmp_path / "two"), 4)  # saves step 5, between regular checkpoints
    spoil(toy.trainer(tmp_path / "two"), 6, times=1).run()
    assert_same(tmp_path / "one", tmp_path / "two")


def test_a_new_best_is_saved_and_kept(toy: ModuleType, tmp_path: Path) -> None:
    toy.trainer(tmp_path, steps=30, save_every=4, validate_every=3).run()
    dev = {line["step"]: line["score"] for line in lines(tmp_path) if line["split"] == "dev"}
    best = manifest.read_manifest(tmp_path / "checkpoints")
    assert best["best"] == f"step-{min(dev, key=lambda step: dev[step]):08d}"
    assert best["best_score"] == min(dev.values())
    assert (tmp_path / "checkpoints" / best["best"]).is_dir()


def test_samples_are_written_in_eval_mode_after_each_validation(
    toy: ModuleType, tmp_path: Path
) -> None:
    seen = []
    trainer = toy.trainer(tmp_path)
    trainer.sample = lambda system, step: seen.append((step, system.training))
    trainer.run()
    assert seen == [(4, False), (8, False), (10, False)]


def test_progress_is_one_line_with_losses_time_and_eta(
    toy: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "vctool.engine.loop"):
        toy.trainer(tmp_path, steps=2).run()
    assert any(
        record.getMessage().startswith("step 2/2  G ") and "  D " in record.getMessage()
        for record in caplog.records
    )


@pytest.mark.parametrize("out_of_patience", [False, True])
def test_the_first_step_says_how_long_a_step_takes_and_silence_never_lasts(
    toy: ModuleType,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    out_of_patience: bool,
) -> None:
    monkeypatch.setattr(loop, "PACE_SECONDS", 0.0 if out_of_patience else 3600.0)
    with caplog.at_level(logging.INFO, "vctool.engine.loop"):
        toy.trainer(tmp_path, steps=5, log_every=4).run()
    said = [one.split("  ") for one in caplog.messages if one.startswith("step ")]
    first, *_ = said
    assert first[0] == "step 1/5" and first[1].endswith("/step") and first[2].startswith("eta ")
    told = [one[0] for one in said]
    every = ["step 1/5", "step 2/5", "step 3/5", "step 4/5", "step 5/5"]
    assert told == (every if out_of_patience else ["step 1/5", "step 4/5", "step 5/5"])
    assert [one["step"] for one in lines(tmp_path) if one["split"] == "train"] == [4, 5]

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from vctool import checkpoints
from vctool.engine import checkpoint, manifest
from vctool.errors import CheckpointError
from vctool.features import base as registry


@pytest.fixture
def exp(toy: ModuleType, tmp_path: Path) -> Path:
    """An experiment with one checkpoint, at step 7."""
    recipe = {"convert": {"stretch": 1.5}}
    checkpoint.save(
        tmp_path / "exp/checkpoints", toy.build(), family="toy", step=7, recipe=recipe, score=0.5
    )
    return tmp_path / "exp"


def edit_state(folder: Path, **changes: Any) -> None:
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | changes))


def test_a_checkpoint_rebuilds_its_model_alone(toy: ModuleType, exp: Path) -> None:
    saved = toy.build()
    system, state = checkpoint.load(exp)
    assert state["step"] == 7
    assert state["recipe"]["convert"]["stretch"] == 1.5
    assert not system.training
    assert system.context == saved.context
    assert system.config == saved.config
    for name, value in saved.state_dict().items():
        assert torch.equal(value, system.state_dict()[name]), name


def test_a_checkpoint_of_before_loads_and_is_gone_on_from(toy: ModuleType, exp: Path) -> None:
    folder = exp / "checkpoints/step-00000007"
    context = json.loads((folder / "state.json").read_text())["context"]
    edit_state(folder, context={**context, "start": "before"}, train=trained(toy))
    system, state = checkpoint.load(exp)
    assert system.context == toy.CONTEXT and "start" not in state["context"]
    toy.trainer(exp, steps=7).run()  # or it would refuse a changed context


def trained(toy: ModuleType) -> dict[str, Any]:
    plain: dict[str, Any] = toy.train_config(steps=7).model_dump(mode="json", by_alias=True)
    return plain


def test_experiment_checkpoints_folder_and_step_folder_all_mean_the_latest(exp: Path) -> None:
    step = exp / "checkpoints/step-00000007"
    assert [manifest.find(path) for path in (exp, exp / "checkpoints", step)] == [step] * 3


def test_nothing_but_safetensors_and_json_is_written(exp: Path) -> None:
    names = sorted(path.name for path in (exp / "checkpoints").rglob("*") if path.is_file())
    assert names == [
        "manifest.json",
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]


def test_a_missing_experiment_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere: no such experiment.*run\.sh"):
        checkpoint.load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"holds no checkpoint; train"):
        checkpoint.load(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="is a file"):
        checkpoint.load(tmp_path / "file")


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors"])
def test_a_truncated_file_is_told_as_half_written(exp: Path, name: str) -> None:
    path = exp / "checkpoints/step-00000007" / name
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match=rf"{name}: \d+ bytes of \d+, half written"):
        checkpoint.load(exp)


def test_a_folder_without_state_is_half_written_when_named_and_passed_over_otherwise(
    exp: Path,
) -> None:
    half = exp / "checkpoints/step-00000009"
    shutil.copytree(exp / "checkpoints/step-00000007", half)
    (half / "state.json").unlink()
    with pytest.raises(CheckpointError, match=r"step-00000009: half written"):
        checkpoint.load(half)
    (exp / "checkpoints/manifest.json").write_text('{"latest": "step-00000009"}')
    assert checkpoint.load(exp)[1]["step"] == 7


def test_state_that_is_not_ours_is_refused(exp: Path) -> None:
    folder = exp / "checkpoints/step-00000007"
    edit_state(folder, format=99)
    with pytest.raises(CheckpointError, match=r"format 99.*update vctool"):
        checkpoint.load(exp)
    (folder / "state.json").write_text('{"format": 1}')
    with pytest.raises(CheckpointError, match=r"lacks config, context.*not written by vctool"):
        checkpoint.load(exp)
    (folder / "state.json").write_text('{"format": ')
    with pytest.raises(CheckpointError, match=r"state.json: not JSON.*delete this checkpoint"):
        checkpoint.load(exp)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"step": "7"}, "its step is '7', not a whole number"),
        ({"format": 1.5}, "its format is 1.5, not a whole number"),
        ({"context": ["speech"]}, r"its context is \['speech'\], not a mapping"),
        ({"recipe": None}, "its recipe is None, not a mapping"),
        ({"files": {"model.safetensors": "long"}}, "its files is .*, not a mapping to a whole num"),
        ({"digests": {"model.safetensors": 5}}, "its digests is .*, not a mapping to text"),
        ({"progress": {"scale": "half"}}, "its progress is .*, not a mapping to a number"),
        ({"score": "low"}, "its score is 'low', not a number or null"),
        ({"context": {}}, "state.json context: features is missing"),
    ],
)
def test_a_state_with_something_else_in_a_field_is_one_line(
    exp: Path, changes: dict[str, Any], why: str
) -> None:
    edit_state(exp / "checkpoints/step-00000007", **changes)
    with pytest.raises(CheckpointError, match=why) as caught:
        checkpoint.load(exp)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "holds no mapping"),
        ('{"latest": 7}', "its latest is 7, not text"),
        ('{"latest": "step-00000007", "best": ["step-00000007"]}', "its best is .*, not text"),
        ('{"best": "step-00000007", "best_score": "low"}', "its best_score is 'low', not a num"),
        ('{"best": "step-00000007"}', "lacks best_score"),
    ],
)
def test_a_manifest_that_is_something_else_is_one_line_and_is_rebuilt(
    toy: ModuleType, exp: Path, text: str, why: str
) -> None:
    path = exp / "checkpoints/manifest.json"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=rf"manifest.json: {why}.*; delete it, it is rebuilt"):
        checkpoint.load(exp)
    path.unlink()
    assert checkpoint.load(exp)[1]["step"] == 7
    checkpoint.save(exp / "checkpoints", toy.build(), family="toy", step=8, score=0.25)
    assert json.loads(path.read_text())["best"] == "step-00000008"


def flip(path: Path, place: int, bit: int) -> None:
    """Flip one bit of a file in place."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


@pytest.mark.parametrize(("place", "bit"), [(-1, 0), (-4, 6), (-1000, 3)])
def test_a_flipped_bit_is_found_wherever_weights_are_read(
    toy: ModuleType, exp: Path, place: int, bit: int
) -> None:
    folder = exp / "checkpoints/step-00000007"
    assert list(checkpoints.damage(folder)) == []
    flip(folder / "model.safetensors", place, bit)
    assert list(checkpoints.damage(folder)) == [f"{folder}/model.safetensors: damaged"]
    told = r"model.safetensors: damaged.*copy it again, or delete this checkpoint"
    with pytest.raises(CheckpointError, match=told):
        checkpoint.load(exp)
    with pytest.raises(CheckpointError, match=told):
        checkpoint.read_tensors(folder / "model.safetensors")
    edit_state(folder, train=trained(toy))
    with pytest.raises(CheckpointError, match=told):
        toy.trainer(exp, steps=8).run()
    flip(folder / "model.safetensors", place, bit)
    assert checkpoint.load(exp)[1]["step"] == 7


def test_flipped_moments_keep_a_training_from_going_on_but_not_the_model_from_converting(
    toy: ModuleType, tmp_path: Path
) -> None:
    toy.trainer(tmp_path, steps=2).run()
    flip(manifest.find(tmp_path) / "optimizer.safetensors", -1, 0)
    assert checkpoint.load(tmp_path)[1]["step"] == 2
    with pytest.raises(CheckpointError, match=r"optimizer.safetensors: damaged"):
        toy.trainer(tmp_path, steps=4).run()


def test_features_of_another_version_than_trained_on_are_warned_of(
    exp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = exp / "checkpoints/step-00000007"
    versions = checkpoint.read_state(folder)["versions"]
    kinds = {registry.plain(kind) for kind in checkpoint.load(exp)[0].reads(None)}
    assert kinds and versions == {kind: registry.get(kind).VERSION for kind in kinds}
    assert "version" not in caplog.text
    kind = min(kinds)
    edit_state(folder, versions=versions | {kind: 99, "gone": 3})
    checkpoint.load(exp)
    assert f"was trained on {kind} of version 99, and this vctool computes version" in caplog.text
    assert "gone of version 3, and this vctool computes version None" in caplog.text


def test_a_checkpoint_of_before_there_were_digests_loads(exp: Path) -> None:
    folder = exp / "checkpoints/step-00000007"
    state = json.loads((folder / "state.json").read_text())
    del state["digests"]
    (folder / "state.json").write_text(json.dumps(state))
    assert checkpoint.load(exp)[1]["step"] == 7
    assert list(checkpoints.damage(folder)) == []


def test_a_family_that_has_changed_is_named_by_field(exp: Path) -> None:
    folder = exp / "checkpoints/step-00000007"
    edit_state(folder, config={"widht": 8})
    with pytest.raises(CheckpointError, match=r"no field 'widht'; did you mean 'width'.*--fresh"):
        checkpoint.load(exp)
    edit_state(folder, config={"width": 4})
    with pytest.raises(CheckpointError, match=r"does not fit.*\(8, 8, 3\) instead of \(4, 8, 3\)"):
        checkpoint.load(exp)


def test_an_unknown_family_is_named(exp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="no family 'toy'"):
        checkpoint.load(exp)


def test_a_full_disk_is_told_before_anything_is_lost(
    toy: ModuleType, exp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(CheckpointError, match=r"checkpoint takes .* free some space"):
        checkpoint.save(exp / "checkpoints", toy.build(), family="toy", step=8)
    assert checkpoint.load(exp)[1]["step"] == 7
    assert not list((exp / "checkpoints").glob(".tmp-*"))


def test_a_write_that_fails_halfway_leaves_the_checkpoint_before(
    toy: ModuleType, exp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(tensors: Any, path: Path) -> None:
        path.write_bytes(b"part")
        raise OSError("disk gone")

    monkeypatch.setattr(checkpoint, "save_file", fail)
    with pytest.raises(CheckpointError, match="cannot be written: disk gone"):
        checkpoint.save(exp / "checkpoints", toy.build(), family="toy", step=8)
    assert [path.name for path in (exp / "checkpoints").glob("*step*")] == ["step-00000007"]
    assert checkpoint.load(exp)[1]["step"] == 7


def test_saving_a_step_twice_replaces_it(toy: ModuleType, exp: Path) -> None:
    system = toy.build()
    system.gate.fill_(0.25)
    checkpoint.save(exp / "checkpoints", system, family="toy", step=7)
    assert checkpoint.load(exp)[0].get_buffer("gate") == 0.25
    assert not list((exp / "checkpoints").glob(".old-*"))


def test_tied_and_strided_weights_survive(toy: ModuleType, tmp_path: Path) -> None:
    system = toy.build()
    system.mean = torch.arange(8.0).repeat(2, 1).T[:, :1]
    system.register_buffer("again", system.mean)
    folder = checkpoint.save(tmp_path, system, family="toy", step=1)
    stored = checkpoint.read_tensors(folder / "model.safetensors")
    assert torch.equal(stored["mean"][:, 0], torch.arange(8.0))
    assert torch.equal(stored["again"], stored["mean"])


def test_newest_regular_latest_and_best_are_kept(toy: ModuleType, tmp_path: Path) -> None:
    scores = {4: 0.5, 8: 0.1, 12: 0.9, 16: 0.9, 18: None}
    for step, score in scores.items():
        checkpoint.save(tmp_path, toy.build(), family="toy", step=step, score=score)
    manifest.prune(tmp_path, keep=2, save_every=4)
    # 18 is where an interruption left it: latest, though no regular one; 8 is the best
    assert sorted(manifest.step_folders(tmp_path)) == [8, 12, 16, 18]


def test_what_killed_processes_left_is_swept(exp: Path) -> None:
    checkpoints = exp / "checkpoints"
    for name in (".tmp-step-00000009-1", ".old-step-00000003-1"):
        (checkpoints / name).mkdir()
        (checkpoints / name / "part").touch()
    manifest.sweep(checkpoints)
    assert sorted(path.name for path in checkpoints.iterdir()) == ["manifest.json", "step-00000007"]


def test_changed_fields_are_named_with_both_values() -> None:
    old = {"a": {"b": 1, "same": 2}, "gone": None}
    new = {"a": {"b": 3, "same": 2}, "new": [1]}
    assert checkpoint.changed_fields(old, new) == [
        "a.b: 1 -> 3",
        "gone: None -> unset",
        "new: unset -> [1]",
    ]

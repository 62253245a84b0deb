"""The running mean of the weights: its formula, and that training itself does not change by it."""

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from vctool.checkpoints import find
from vctool.engine import checkpoint, manifest
from vctool.engine.averaging import WARM_UP
from vctool.errors import CheckpointError
from vctool.experiment import plan

DECAY = 0.8
EVERY = {"save_every": 1, "keep": 20}


def tensors(folder: Path, file: str = checkpoint.MODEL) -> dict[str, torch.Tensor]:
    return checkpoint.read_tensors(folder / file)


def at(out: Path, step: int) -> Path:
    return out / "checkpoints" / f"step-{step:08d}"


def test_the_mean_is_the_formula_over_the_weights_of_every_step(
    toy: ModuleType, tmp_path: Path
) -> None:
    """And those weights, the moments and the discriminators are as without a mean."""
    toy.trainer(tmp_path / "plain", **EVERY).run()
    toy.trainer(tmp_path / "mean", average=DECAY, **EVERY).run()
    mean = {k: v.double() for k, v in tensors(at(tmp_path / "plain", 0)).items()}
    for step in range(1, 11):
        plain = tensors(at(tmp_path / "plain", step))
        decay = min(DECAY, (1 + step) / (WARM_UP + step))
        mean = {k: decay * mean[k] + (1 - decay) * v.double() for k, v in plain.items()}
        saved = tensors(at(tmp_path / "mean", step))
        going_on = tensors(at(tmp_path / "mean", step), checkpoint.TRAINING)
        assert {name.partition(".")[0] for name in going_on} == {"generator", "unused"}
        for name, value in saved.items():
            if name in going_on:
                assert torch.equal(going_on[name], plain[name]), name
                torch.testing.assert_close(value.double(), mean[name], rtol=1e-5, atol=1e-6)
            else:
                assert torch.equal(value, plain[name]), name
        ours = tensors(at(tmp_path / "mean", step), checkpoint.OPTIMIZER)
        theirs = tensors(at(tmp_path / "plain", step), checkpoint.OPTIMIZER)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    weight = "generator.0.weight"
    assert not torch.equal(
        tensors(at(tmp_path / "mean", 10))[weight], tensors(at(tmp_path / "plain", 10))[weight]
    )
    assert not (at(tmp_path / "plain", 10) / checkpoint.TRAINING).exists()


@pytest.mark.parametrize("step", [3, 4])
def test_stopped_and_resumed_equals_undisturbed_bit_for_bit(
    toy: ModuleType, tmp_path: Path, step: int
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    toy.trainer(tmp_path / "one", average=DECAY, model={"noise": 0.1}).run()
    stopped = toy.trainer(tmp_path / "two", average=DECAY, model={"noise": 0.1})
    inner = stopped._step

    def interrupted(at: int, *others: Any) -> Any:
        if at == step:
            raise KeyboardInterrupt
        return inner(at, *others)

    stopped._step = interrupted
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    toy.trainer(tmp_path / "two", average=DECAY, model={"noise": 0.1}).run()
    torch.set_num_threads(threads)
    for file in (checkpoint.MODEL, checkpoint.TRAINING, checkpoint.OPTIMIZER):
        one, two = (tensors(at(tmp_path / name, 10), file) for name in ("one", "two"))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one), file


def test_the_mean_may_be_begun_and_ended_later(toy: ModuleType, tmp_path: Path) -> None:
    toy.trainer(tmp_path / "plain").run()
    toy.trainer(tmp_path / "mean", average=DECAY, steps=10, save_every=4).run()
    for step in (8, 10):
        manifest.remove(at(tmp_path / "mean", step))
    (tmp_path / "mean" / "checkpoints" / "manifest.json").unlink()
    toy.trainer(tmp_path / "mean").run()  # from step 4, whose model is a mean
    plain, ended = (tensors(at(tmp_path / name, 10)) for name in ("plain", "mean"))
    assert all(torch.equal(plain[name], ended[name]) for name in plain)

    manifest.remove(at(tmp_path / "plain", 10))
    toy.trainer(tmp_path / "plain", average=DECAY).run()  # from step 8, which has no mean
    going_on = tensors(at(tmp_path / "plain", 10), checkpoint.TRAINING)
    assert all(torch.equal(going_on[name], plain[name]) for name in going_on)


def test_what_is_validated_and_heard_is_the_mean(toy: ModuleType, tmp_path: Path) -> None:
    trainer = toy.trainer(tmp_path, average=DECAY)
    seen: list[torch.Tensor] = []
    trainer.sample = lambda system, step: seen.append(system.generator[0].weight.detach().clone())
    trainer.run()
    saved = at(tmp_path, 10)
    assert torch.equal(seen[-1], tensors(saved)["generator.0.weight"])
    system, state = checkpoint.load(tmp_path)
    again = toy.trainer(tmp_path / "again")
    again.system.load_state_dict(system.state_dict())
    values = again.validate(10)
    assert state["score"] == pytest.approx(0.5 * values["generator/identity"])


def test_a_bad_step_leaves_nothing_in_the_mean(toy: ModuleType, tmp_path: Path) -> None:
    trainer = toy.trainer(tmp_path, average=DECAY)
    inner, left = trainer.system.objectives, [1]

    def spoiled(batch: Any, step: int) -> Any:
        for group, terms in inner(batch, step):
            bad = group == "generator" and step == 5 and left
            if bad:
                left.pop()
            yield group, {n: t * float("nan") for n, t in terms.items()} if bad else terms

    trainer.system.objectives = spoiled
    trainer.run()
    for file in (checkpoint.MODEL, checkpoint.TRAINING):
        assert all(
            torch.isfinite(value).all() for value in tensors(at(tmp_path, 10), file).values()
        )


def test_the_best_converts_where_it_is_chosen(toy: ModuleType, tmp_path: Path) -> None:
    """It may be chosen after the training, and taken back: no weights change by it."""
    pace = {"steps": 30, "learning_rate": 0.3, "validate_every": 3, "decay_from": 1.0}
    toy.trainer(tmp_path, **pace).run()
    noted = manifest.read_manifest(tmp_path / "checkpoints")
    assert noted["best"] != noted["latest"], "choose settings that get worse"
    assert find(tmp_path).name == noted["latest"]
    returned = toy.trainer(tmp_path, converts="best", **pace).run()
    assert returned.name == noted["latest"], "training goes on from the latest"
    assert find(tmp_path).name == noted["best"]
    assert checkpoint.load(tmp_path)[1]["step"] == int(noted["best"].removeprefix("step-"))
    toy.trainer(tmp_path, **pace).run()
    assert find(tmp_path).name == noted["latest"]
    toy.trainer(tmp_path, converts="best", **pace).run()
    manifest.remove(tmp_path / "checkpoints" / noted["best"])
    assert find(tmp_path).name == noted["latest"], "deleted by hand"
    with pytest.raises(CheckpointError, match=r"train\.average: None -> 0\.8"):
        toy.trainer(tmp_path, average=DECAY, **pace).run()


def test_the_mean_begins_with_the_weights_that_were_set_up(toy: ModuleType, tmp_path: Path) -> None:
    trainer = toy.trainer(tmp_path, average=DECAY, steps=1)

    def setup(batch: Any) -> None:
        trainer.system.unused.data.fill_(5.0)

    trainer.system.setup = setup
    trainer.run()
    assert torch.equal(tensors(at(tmp_path, 0))["unused"], torch.full((3,), 5.0))


def test_damage_of_the_checkpoint_that_converts_is_found(toy: ModuleType, tmp_path: Path) -> None:
    toy.trainer(tmp_path, **EVERY).run()
    checkpoints = tmp_path / "checkpoints"
    known = manifest.read_manifest(checkpoints)
    manifest.write_manifest(checkpoints, known | {"best": "step-00000004", "best_score": 0.0})
    model = at(tmp_path, 4) / checkpoint.MODEL
    model.write_bytes(model.read_bytes()[:-1])
    recipe: Any = SimpleNamespace(exp=tmp_path)
    assert not list(plan._train_damage(recipe))
    manifest.choose(checkpoints, "best")
    assert any(str(model) in line for line in plan._train_damage(recipe))

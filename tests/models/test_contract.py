"""What every family must prove; a new folder below `vctool/models/` is tested without an edit."""

import copy
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from vctool.engine import checkpoint, manifest
from vctool.engine.distributed import Processes
from vctool.engine.loop import Trainer
from vctool.engine.optim import GroupOptimizers
from vctool.engine.step import evaluate_objectives, seed_step, train_step, undisturbed

Case = Any


class Operations(TorchDispatchMode):
    """Notes the names of the operations that run within it."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.name().partition(".")[0])
        return func(*args, **(kwargs or {}))


def snapshot(system: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in system.state_dict().items()}


def changed(before: dict[str, Tensor], system: torch.nn.Module) -> set[str]:
    after = system.state_dict()
    assert before.keys() == after.keys()
    return {
        name
        for name in before
        if not torch.equal(before[name].nan_to_num(), after[name].nan_to_num())
    }


def all_terms(system: Any, batch: Any, step: int = 0) -> dict[tuple[str, str], Tensor]:
    seed_step(0, step)
    return {
        (group, name): term
        for group, terms in system.objectives(batch, step)
        for name, term in terms.items()
    }


def convert(case: Case, system: Any, frames: int, to: str | None, seed: int = 0) -> Any:
    source = case.source(frames, seed)
    return system.convert(source, case.condition(frames, to, system, seed), to)


@cache
def _trained(case: Case) -> Any:
    system = case.system()
    if not system.groups():
        return system
    config = case.train.model_copy(update={"learning_rate": 1e-2, "decay_from": 1.0})
    optimizers = GroupOptimizers(system, config)
    for step in range(2):
        train_step(system, case.data.batch(step), step, optimizers, Processes())
    return system


def trained(case: Case) -> Any:
    """Take two long steps: a residual output may begin at zero, and then nothing matters."""
    return copy.deepcopy(_trained(case))


def test_terms_are_finite_scalars_and_match_the_weights(learner: Case) -> None:
    terms = all_terms(learner.system(), learner.data.batch(0))
    weights = {(g, name) for g, part in learner.train.weights.items() for name in part}
    assert weights == set(terms)
    for name, term in terms.items():
        assert term.shape == (), name
        assert torch.isfinite(term), name


def test_each_term_alone_reaches_its_own_group(learner: Case) -> None:
    """A term without gradient trains nothing, however well its curve looks (published bug B1)."""
    system = learner.system()
    groups = {name: [p for p in part if p.requires_grad] for name, part in system.groups().items()}
    for (group, name), term in all_terms(system, learner.data.batch(0)).items():
        gradients = torch.autograd.grad(term, groups[group], allow_unused=True, retain_graph=True)
        found = [gradient for gradient in gradients if gradient is not None]
        assert found, f"{group}/{name} reaches nothing"
        assert all(torch.isfinite(gradient).all() for gradient in found), f"{group}/{name}"
        assert any(gradient.abs().max() > 0 for gradient in found), f"{group}/{name} is flat"


def test_terms_that_discriminators_decide_rank_no_checkpoint(learner: Case) -> None:
    """Other discriminators change exactly the terms that are left out of the held-out score."""
    one, other = learner.system(), learner.system()
    for group in other.discriminator_groups:
        for parameter in other.groups()[group]:
            parameter.data.add_(0.3 * torch.randn(parameter.shape).sign() * parameter.abs().mean())
    first, second = (all_terms(system.eval(), learner.data.batch(0)) for system in (one, other))
    moved = {
        name
        for (group, name), term in first.items()
        if group not in one.discriminator_groups and not torch.equal(term, second[group, name])
    }
    trained = {n for g, n in first if g not in one.discriminator_groups}
    assert moved == set(one.adversarial_terms) & trained


def test_every_parameter_of_a_group_is_reached_by_some_term(learner: Case) -> None:
    system = learner.system()
    names = {parameter: name for name, parameter in system.named_parameters()}
    reached = set()
    for group, part in system.groups().items():
        wanted = [p for p in part if p.requires_grad]
        total = sum(
            term
            for (owner, _), term in all_terms(system, learner.data.batch(0)).items()
            if owner == group
        )
        gradients = torch.autograd.grad(total, wanted, allow_unused=True)
        reached |= {p for p, g in zip(wanted, gradients, strict=True) if g is not None}
    idle = {name for parameter, name in names.items() if parameter.requires_grad} - {
        names[p] for p in reached
    }
    assert not idle, f"no loss term reaches {sorted(idle)}"


def test_a_step_changes_only_the_named_group(learner: Case) -> None:
    """And no opponent's gradient survives to its own step (published bug B5)."""
    system = learner.system()
    names = {parameter: name for name, parameter in system.named_parameters()}
    owned = {group: {names[p] for p in part} for group, part in system.groups().items()}
    buffers = {name for name, _ in system.named_buffers()}
    steps: list[tuple[str, set[str]]] = []
    inner = system.objectives

    def watched(batch: Any, step: int) -> Any:
        for group, terms in inner(batch, step):
            before = snapshot(system)
            yield group, terms
            steps.append((group, changed(before, system) - buffers))
            assert all(parameter.grad is None for parameter in system.parameters())

    system.objectives = watched
    optimizers = GroupOptimizers(system, learner.train)
    train_step(system, learner.data.batch(0), 0, optimizers, Processes())
    assert {group for group, _ in steps} == set(owned)
    for group, touched in steps:
        assert touched, f"{group} did not move"
        assert touched <= owned[group]


def test_a_step_reads_nothing_back_from_the_device(learner: Case) -> None:
    # Such a read makes a GPU idle until the host has queued more work. Optimizers keep their count
    # of steps on the host, and read that; they are left out.
    system = learner.system()
    optimizers = GroupOptimizers(system, learner.train)
    train_step(system, learner.data.batch(0), 0, optimizers, Processes())
    batch = learner.data.batch(1)
    with mock.patch.object(optimizers, "update"), Operations() as operations:
        train_step(system, batch, 1, optimizers, Processes())
    assert len(operations.names) > 40  # they are seen at all
    assert not operations.names & {"aten::_local_scalar_dense", "aten::nonzero"}


def test_evaluation_leaves_weights_buffers_and_modes_unchanged(learner: Case) -> None:
    system, data = learner.system(), learner.data
    before = snapshot(system)
    with undisturbed(system):
        for step in range(2):
            evaluate_objectives(system, data.batch(step), step, learner.train, torch.device("cpu"))
            for to in learner.targets:
                convert(learner, system, 100, to)
    assert changed(before, system) == set()
    assert all(module.training for module in system.modules())


def test_converting_leaves_weights_buffers_and_modes_unchanged(case: Case) -> None:
    system = case.system()
    before = snapshot(system)
    for to in case.targets:
        convert(case, system, 100, to)
    assert changed(before, system) == set()
    assert all(module.training for module in system.modules())


def test_train_and_eval_mode_agree(case: Case) -> None:
    """Upstream clamped mel dB to [-1, 1] in eval mode only: noise (published bug B2)."""
    system = trained(case)
    for to in case.targets:
        in_training = convert(case, system.train(), 120, to)
        evaluated = convert(case, system.eval(), 120, to)
        for kind in in_training:
            np.testing.assert_array_equal(in_training[kind], evaluated[kind])
            assert np.ptp(evaluated[kind]) > (1e-3 if kind == "wave" else 2)


def test_train_and_eval_losses_agree_in_range(learner: Case) -> None:
    """The networks themselves, not only `convert`, may not change their range with the mode."""
    system, batch = learner.system(), learner.data.batch(0)
    with torch.no_grad():
        in_training = all_terms(system.train(), batch)
        evaluated = all_terms(system.eval(), batch)
    for name, term in in_training.items():
        assert float(evaluated[name]) == pytest.approx(float(term), rel=0.5, abs=0.2), name


def test_conversion_depends_on_its_condition(case: Case) -> None:
    """Upstream's critic never saw the accompaniment (published bug B3)."""
    system = trained(case)
    conditioned = [to for to in case.targets if system.needs_accompaniment(case.config, to)]
    if not conditioned:
        pytest.skip(f"{case.name} has no conditioned direction")
    for to in conditioned:
        source = case.source(120)
        one, other = (
            system.convert(source, case.condition(120, to, system, seed), to) for seed in (1, 2)
        )
        assert any(np.abs(one[kind] - other[kind]).max() > 1e-4 for kind in one)


def test_conversion_is_deterministic_and_keeps_length_and_kind(case: Case) -> None:
    system = trained(case)
    for to in case.targets:
        for frames in (1, 2, 9, 64, 97, 333):
            torch.manual_seed(frames)
            one = convert(case, system, frames, to)
            torch.manual_seed(frames + 1)
            two = convert(case, system, frames, to)
            assert set(one) == set(case.writes)
            for kind, converted in one.items():
                assert converted.shape == case.shape(kind, frames)
                assert converted.dtype == np.float32
                assert np.isfinite(converted).all()
                np.testing.assert_array_equal(converted, two[kind])


def test_conversion_does_not_write_into_its_input(case: Case) -> None:
    system = case.system()
    for to in case.targets:
        source, condition = case.source(80), case.condition(80, to, system)
        for array in [*source.values(), *(condition.accompaniment or {}).values()]:
            array.flags.writeable = False  # as a feature set's cache hands them out
        system.convert(source, condition, to)


def test_a_batch_is_the_mean_of_its_singles(learner: Case) -> None:
    """Noise belongs to the example and no loss looks across examples: halves average to wholes."""
    system, data = learner.system().eval(), learner.data
    with torch.no_grad():
        whole = all_terms(system, data.batch(3))
        size = learner.train.batch_size
        parts = [all_terms(system, data.batch(3, rank, size)) for rank in range(size)]
    for name, term in whole.items():
        singles = torch.stack([part[name] for part in parts])
        torch.testing.assert_close(singles.mean(), term, rtol=2e-3, atol=1e-4)


def trainer(case: Case, out: Path, **changes: Any) -> Trainer:
    config = case.train.model_copy(update=changes)
    data = case.data
    return Trainer(case.system(fitted=False), data, data, config, out, family=case.name)


def stored(out: Path, file: str) -> dict[str, Tensor]:
    return checkpoint.read_tensors(manifest.find(out) / file)


def test_three_and_resume_and_three_is_six_bit_for_bit(learner: Case, tmp_path: Path) -> None:
    fixed = {"validate_batches": 1, "decay_from": 1.0}
    trainer(learner, tmp_path / "whole", **fixed).run()
    trainer(learner, tmp_path / "parts", **{**fixed, "steps": 3}).run()
    torch.manual_seed(123)
    trainer(learner, tmp_path / "parts", **fixed).run()
    for file in ("model.safetensors", "optimizer.safetensors"):
        whole, parts = stored(tmp_path / "whole", file), stored(tmp_path / "parts", file)
        assert whole.keys() == parts.keys()
        assert [
            n for n in whole if not torch.equal(whole[n].nan_to_num(), parts[n].nan_to_num())
        ] == []


def test_a_checkpoint_converts_as_the_system_it_was_saved_from(case: Case, tmp_path: Path) -> None:
    """Upstream's MiniRocket was random and in no state_dict (published bugs B11, B12)."""
    system = trained(case)
    checkpoint.save(tmp_path, system, family=case.name, step=1)
    loaded, _ = checkpoint.load(tmp_path)
    for to in case.targets:
        one, two = convert(case, system, 90, to), convert(case, loaded, 90, to)
        for kind in one:
            np.testing.assert_array_equal(one[kind], two[kind])


def test_a_checkpoint_has_the_losses_of_the_system_it_was_saved_from(
    learner: Case, tmp_path: Path
) -> None:
    system = trained(learner)
    checkpoint.save(tmp_path, system, family=learner.name, step=1)
    loaded, _ = checkpoint.load(tmp_path)
    batch = learner.data.batch(1)
    with torch.no_grad():
        before, after = all_terms(system.eval(), batch), all_terms(loaded, batch)
    assert before.keys() == after.keys()
    for name in before:
        assert torch.equal(before[name], after[name]), name


def test_batches_are_functions_of_seed_and_step(learner: Case) -> None:
    one, two = learner.dataset(), learner.dataset()
    two.batch(0)

    def tensors(batch: Any) -> list[Tensor]:
        if isinstance(batch, Tensor):
            return [batch]
        parts = batch.values() if isinstance(batch, dict) else batch
        return [tensor for part in parts for tensor in tensors(part)]

    for first, second in zip(tensors(one.batch(5)), tensors(two.batch(5)), strict=True):
        assert torch.equal(first, second)
    halves = [tensors(one.batch(5, rank, 2)) for rank in (0, 1)]
    for whole, first, second in zip(tensors(one.batch(5)), *halves, strict=True):
        assert torch.equal(whole, torch.cat([first, second]))
    assert not torch.equal(tensors(one.batch(5))[0], tensors(one.batch(6))[0])
    known = {name for part in learner.sets.values() for name in part.ids}
    assert set(one.names(5)) <= known


def test_two_halves_average_to_the_gradient_of_the_whole(learner: Case) -> None:
    """What two processes do, without the processes: noise follows the example, not the process."""
    system, data = learner.system().eval(), learner.data
    groups = {name: [p for p in part if p.requires_grad] for name, part in system.groups().items()}

    def gradients(batch: Any) -> dict[str, list[Tensor]]:
        result = {}
        for (group, name), term in all_terms(system, batch).items():
            found = torch.autograd.grad(term, groups[group], allow_unused=True, retain_graph=True)
            result[f"{group}/{name}"] = [g for g in found if g is not None]
        return result

    whole = gradients(data.batch(2))
    halves = [gradients(data.batch(2, rank, 2)) for rank in (0, 1)]
    for name, expected in whole.items():
        scale = max(float(gradient.abs().max()) for gradient in expected)
        for one, first, second in zip(expected, halves[0][name], halves[1][name], strict=True):
            torch.testing.assert_close(
                (first + second) / 2,
                one,
                rtol=1e-3,
                atol=1e-4 * scale,
                msg=lambda m, n=name: f"{n}: {m}",
            )


def test_a_family_that_learns_nothing_is_set_up_and_saved(still: Case, tmp_path: Path) -> None:
    folder = trainer(still, tmp_path).run()
    assert folder.name == "step-00000000"
    assert not checkpoint.read_tensors(folder / checkpoint.OPTIMIZER)
    loaded, _ = checkpoint.load(tmp_path)
    for to in still.targets:
        one, two = convert(still, still.system(), 90, to), convert(still, loaded, 90, to)
        for kind in one:
            np.testing.assert_array_equal(one[kind], two[kind])


def test_a_conversion_follows_its_reference(follower: Case) -> None:
    system = trained(follower)
    before = snapshot(system)
    one, other = (follower.reference(system, seed) for seed in (0, 1))
    for told in (one, other):
        for name, values in told.reference.items():
            assert values.dtype.kind in "fiu" and np.isfinite(values).all(), name
            values.flags.writeable = False  # a reference serves every block
    for frames in (2, 97, 333):
        source = follower.source(frames)
        made = system.convert(source, one, None)
        assert set(made) == set(follower.writes)
        for kind, values in system.convert(source, one, None).items():
            assert values.shape == follower.shape(kind, frames) and values.dtype == np.float32
            assert np.isfinite(values).all()
            np.testing.assert_array_equal(values, made[kind])
    moved = system.convert(source, other, None)
    assert any(np.abs(moved[kind] - made[kind]).max() > 1e-4 for kind in made)
    assert changed(before, system) == set()


def test_a_reference_is_the_same_when_it_is_heard_again(follower: Case) -> None:
    system = trained(follower)
    one, two = (follower.reference(system).reference for _ in range(2))
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])

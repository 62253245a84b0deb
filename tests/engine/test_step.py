from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from vctool.engine.distributed import Processes
from vctool.engine.optim import GroupOptimizers
from vctool.engine.settings import TrainConfig
from vctool.engine.step import (
    evaluate_objectives,
    score,
    seed_step,
    train_step,
    undisturbed,
    weigh,
    weight_at,
)
from vctool.errors import ConfigError

Snapshot = dict[str, Tensor]


def snapshot(system: torch.nn.Module) -> Snapshot:
    return {name: value.clone() for name, value in system.state_dict().items()}


def changed(before: Snapshot, system: torch.nn.Module) -> set[str]:
    return {
        name.partition(".")[0]
        for name, value in system.state_dict().items()
        if not torch.equal(value, before[name])
    }


def run_step(toy: ModuleType, system: Any, config: TrainConfig, step: int = 0) -> Any:
    optimizers = GroupOptimizers(system, config)
    return train_step(system, toy.Data().batch(step), step, optimizers, Processes())


def test_a_step_is_the_gan_dance_written_by_hand(toy: ModuleType) -> None:
    config = toy.train_config()
    ours, theirs = toy.build(), toy.build()
    optimizers = GroupOptimizers(ours, config)
    adams = [
        torch.optim.Adam(part.parameters(), lr=1e-2, betas=(0.5, 0.999))
        for part in (theirs.generator, theirs.critic)
    ]
    for step in range(3):
        batch = toy.Data().batch(step)
        train_step(ours, batch, step, optimizers, Processes())
        identity = 2.0 + (0.5 - 2.0) * step / 6
        fake = theirs.generator(batch.speech)
        loss = (theirs.critic(fake) - 1).square().mean()
        loss = loss + identity * (theirs.generator(batch.singing) - batch.singing).abs().mean()
        theirs.zero_grad()
        loss.backward()
        adams[0].step()
        theirs.zero_grad()  # or the critic would learn from the generator's wish (published bug B5)
        loss = (theirs.critic(batch.singing) - 1).square().mean()
        loss = loss + theirs.critic(fake.detach()).square().mean()
        loss.backward()
        adams[1].step()
    for name, value in theirs.generator.state_dict().items():
        torch.testing.assert_close(ours.generator.state_dict()[name], value)
    for name, value in theirs.critic.state_dict().items():
        torch.testing.assert_close(ours.critic.state_dict()[name], value)


def test_each_group_steps_alone_and_leaves_no_gradient_behind(toy: ModuleType) -> None:
    system = toy.build()
    seen = []

    def watched(batch: Any, step: int) -> Any:
        for group, terms in toy.System.objectives(system, batch, step):
            before = snapshot(system)
            yield group, terms
            seen.append((group, changed(before, system) - {"gate"}))
            assert all(parameter.grad is None for parameter in system.parameters())

    system.objectives = watched
    run_step(toy, system, toy.train_config())
    assert seen == [("generator", {"generator"}), ("discriminator", {"critic"})]


def test_backward_computes_no_gradient_for_the_other_group(toy: ModuleType) -> None:
    system = toy.build()
    reached: list[str] = []
    for name, parameter in system.named_parameters():
        parameter.register_hook(lambda gradient, name=name: reached.append(name))
    system.gate.fill_(0.0)  # the generator steps alone
    run_step(toy, system, toy.train_config())
    assert {name.partition(".")[0] for name in reached} == {"generator"}


def test_a_misspelt_weight_is_an_error_with_a_suggestion(toy: ModuleType) -> None:
    weights = {"generator": {"adversarial": 1, "identty": 1}, "discriminator": {"adversarial": 1}}
    with pytest.raises(
        ConfigError, match=r"generator.identty: no such loss term; did .*'identity'"
    ):
        run_step(toy, toy.build(), toy.train_config(weights=weights))


def test_a_term_without_weight_is_an_error(toy: ModuleType) -> None:
    with pytest.raises(ConfigError, match=r"train.weights.generator: lacks adversarial, identity"):
        run_step(toy, toy.build(), toy.train_config(weights={}))


@pytest.mark.parametrize("field", ["weights", "learning_rates"])
def test_settings_for_an_unknown_group_are_refused(toy: ModuleType, field: str) -> None:
    value = {"weights": {"generatr": {}}, "learning_rates": {"generatr": 1.0}}[field]
    with pytest.raises(ConfigError, match=rf"{field}.generatr: no such group; .*'generator'"):
        GroupOptimizers(toy.build(), toy.train_config(**{field: value}))


def test_a_ramp_moves_linearly_and_stays(toy: ModuleType) -> None:
    ramp = toy.train_config().weights["generator"]["identity"]
    assert [weight_at(ramp, step) for step in (0, 3, 6, 100)] == [2.0, 1.25, 0.5, 0.5]
    assert weight_at(3.0, 5) == 3.0


def test_a_term_of_weight_zero_sends_no_gradient_even_when_it_is_not_finite() -> None:
    config = TrainConfig.model_validate({"weights": {"g": {"off": 0, "on": 2}}})
    off, on = torch.tensor(float("nan"), requires_grad=True), torch.tensor(3.0, requires_grad=True)
    total = weigh("g", {"off": off, "on": on}, config, 0)
    total.backward()
    assert (total.item(), off.grad, on.grad) == (6.0, None, torch.tensor(2.0))


def test_the_step_size_falls_linearly_to_zero_after_the_last_step(toy: ModuleType) -> None:
    config = toy.train_config(steps=8, learning_rate=1.0, learning_rates={"discriminator": 4.0})
    optimizers = GroupOptimizers(toy.build(), config)
    sizes = [optimizers.learning_rate("generator", step) for step in range(9)]
    assert sizes == [1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0]
    assert optimizers.learning_rate("discriminator", 5, scale=0.5) == 1.5
    whole = GroupOptimizers(toy.build(), toy.train_config(learning_rate=1.0, decay_from=1))
    assert whole.learning_rate("generator", 9) == 1.0


def test_a_clipped_gradient_steps_as_a_smaller_one(toy: ModuleType) -> None:
    # Adam is blind to scale at its first step, but not to the share of one step in the moments
    result = run_step(toy, toy.build(), toy.train_config(clip_grad=1e-9))
    assert float(result.values["grad_norm/generator"]) > 0.1  # reported before clipping
    system = toy.build()
    optimizers = GroupOptimizers(system, toy.train_config(clip_grad=1e-9))
    train_step(system, toy.Data().batch(0), 0, optimizers, Processes())
    moments = [value for name, value in optimizers.moments().items() if name.endswith("exp_avg")]
    assert 0 < max(float(value.abs().max()) for value in moments) < 1e-9


def test_a_non_finite_loss_is_noticed(toy: ModuleType) -> None:
    system = toy.build()
    optimizers = GroupOptimizers(system, toy.train_config())
    good = train_step(system, toy.Data().batch(0), 0, optimizers, Processes())
    data = toy.Data()
    data.bad_steps = {1}
    bad = train_step(system, data.batch(1), 1, optimizers, Processes())
    assert (bool(good.bad), bool(bad.bad)) == (False, True)


def test_evaluation_leaves_weights_buffers_modes_and_noise_as_they_were(toy: ModuleType) -> None:
    system = toy.build().train()
    system.critic.eval()
    before, noise = snapshot(system), torch.get_rng_state()
    with undisturbed(system):
        assert not system.training
        values = evaluate_objectives(
            system, toy.Data().batch(0), 0, toy.train_config(), torch.device("cpu")
        )
        assert changed(before, system) == {"gate"}  # the generator's code after a yield did run
        torch.rand(3)
    assert changed(before, system) == set()
    assert torch.equal(noise, torch.get_rng_state())
    assert (system.training, system.generator.training, system.critic.training) == (1, 1, 0)
    assert "discriminator/adversarial" in values


def test_evaluation_gives_the_numbers_that_training_gives(toy: ModuleType) -> None:
    system, batch = toy.build(), toy.Data().batch(0)
    with undisturbed(system):
        held_out = evaluate_objectives(system, batch, 0, toy.train_config(), torch.device("cpu"))
    trained = run_step(toy, system, toy.train_config()).values
    assert held_out["generator/identity"] == trained["generator/identity"]
    assert held_out["total/generator"] == trained["total/generator"]


def test_a_score_counts_no_opponent_and_the_last_weight_of_a_ramp(toy: ModuleType) -> None:
    system = toy.build()
    values = {
        "generator/adversarial": 1.0,
        "generator/identity": 4.0,
        "discriminator/adversarial": 100.0,
    }
    assert score(system, values, toy.train_config()) == 0.5 * 4.0
    system.adversarial_terms = ()
    assert score(system, values, toy.train_config()) == 1.0 + 0.5 * 4.0
    system.discriminator_groups = ("generator",)
    assert score(system, values, toy.train_config()) == 100.0
    with pytest.raises(AssertionError, match="no group judge"):
        system.discriminator_groups = ("judge",)
        GroupOptimizers(system, toy.train_config())


def test_noise_depends_on_seed_step_process_and_purpose() -> None:
    def draw(*key: int) -> float:
        seed_step(*key)
        return float(torch.rand(()))

    keys = [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
    assert len({draw(*key) for key in keys}) == len(keys)
    assert draw(0, 5) == draw(0, 5)


def test_bf16_rounds_the_forward_pass_and_keeps_float32_weights(toy: ModuleType) -> None:
    exact, rough = toy.build(), toy.build()
    one = run_step(toy, exact, toy.train_config()).values["total/generator"]
    two = run_step(toy, rough, toy.train_config(precision="bf16")).values["total/generator"]
    assert one != two
    assert float(two) == pytest.approx(float(one), rel=0.02)
    assert {p.dtype for p in rough.parameters()} == {torch.float32}


def test_parameters_in_no_group_or_in_two_are_programming_errors(toy: ModuleType) -> None:
    system = toy.build()
    system.extra = torch.nn.Linear(1, 1)
    with pytest.raises(AssertionError, match=r"in no group: extra\.weight, extra\.bias"):
        GroupOptimizers(system, toy.train_config())
    system = toy.build()
    both = list(system.generator.parameters())
    system.groups = lambda: {"generator": [*both, system.unused], "discriminator": both}
    with pytest.raises(AssertionError, match="in the groups generator and discriminator"):
        GroupOptimizers(system, toy.train_config())

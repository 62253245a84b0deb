"""One training step over all parameter groups, and the same objectives for validation."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vctool.config import suggest
from vctool.engine.distributed import Flags, Processes, average_gradients
from vctool.engine.optim import GroupOptimizers
from vctool.engine.settings import Ramp, TrainConfig
from vctool.errors import ConfigError
from vctool.models.base import System, Terms
from vctool.precision import computes_bf16

TRAINING, VALIDATION, SETUP = 0, 1, 2
"""Purposes of random numbers; each has its own stream at every step."""


NAMED_UTTERANCES = 8
"""Most utterances that an error lists; it counts the rest."""


class StepResult(NamedTuple):
    """Results of one step."""

    values: dict[str, Tensor]
    """Scalars by `group/term`, `total/group` and `grad_norm/group`, on the device."""
    bad: Tensor
    """True where a total or a gradient was not finite; on the device, so that nothing waits."""


class QueuedStep(NamedTuple):
    """A step that a GPU may still be computing."""

    before: int
    """Steps done before it."""
    values: dict[str, Tensor]
    """As in `StepResult`."""
    flags: Flags

    def is_bad(self) -> bool:
        """Wait for the step; tell whether it was not finite in any process."""
        return self.flags.read()[0]

    def stops(self) -> bool:
        """Wait for the step; tell whether any process was asked to stop during it."""
        return self.flags.read()[1]


def seed_step(seed: int, step: int, rank: int = 0, purpose: int = TRAINING) -> None:
    """Seed torch's global generator by seed, step and process, so that resuming needs no state."""
    state = np.random.SeedSequence([seed, step, rank, purpose]).generate_state(1, np.uint64)
    torch.manual_seed(int(state[0]) >> 1)


def uses_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Tell whether a step runs in bf16."""
    if config.precision == "auto":
        return computes_bf16(device)
    return config.precision == "bf16"


def weight_at(weight: float | Ramp, step: int) -> float:
    """Return a loss weight at a step."""
    return weight.at(step) if isinstance(weight, Ramp) else weight


def weigh(group: str, terms: Terms, config: TrainConfig, step: int) -> Tensor:
    """Sum a group's terms with their weights.

    A term whose weight is 0 at this step is left out, so that nothing is computed for it.

    Raises:
        ConfigError: the terms and `train.weights[group]` do not have the same names.
    """
    weights = config.weights.get(group, {})
    place = f"train.weights.{group}"
    for name in weights:
        if name not in terms:
            raise ConfigError(f"{place}.{name}: no such loss term{suggest(name, terms)}")
    lacking = [name for name in terms if name not in weights]
    if lacking:
        raise ConfigError(f"{place}: lacks {', '.join(lacking)}; 0 switches a loss term off")
    used = {name: weight_at(weight, step) for name, weight in weights.items()}
    parts = [value * terms[name].float() for name, value in used.items() if value != 0]
    return torch.stack(parts).sum() if parts else torch.zeros(())


def train_step(
    system: System,
    batch: Any,
    step: int,
    optimizers: GroupOptimizers,
    processes: Processes,
    scale: float = 1.0,
) -> StepResult:
    """Update every group once, in the order in which the system yields them.

    Args:
        system: in train mode.
        batch: this process's share, on the device.
        step: steps done before this one.
        optimizers: one for each group.
        processes: how many processes average their gradients.
        scale: factor on every learning rate.
    """
    config = optimizers.config
    seed_step(config.seed, step, processes.rank)
    values: dict[str, Tensor] = {}
    bad = torch.zeros((), dtype=torch.bool, device=processes.device)
    for group, terms in _autocast(system.objectives(batch, step), config, processes.device):
        total = weigh(group, terms, config, step)
        parameters = optimizers.parameters[group]
        optimizers.clear(group)
        if total.requires_grad:
            # with `inputs` no other group's gradients are computed or changed
            torch.autograd.backward(total, inputs=parameters)
        average_gradients(parameters, processes.size)
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if config.clip_grad is not None:
            nn.utils.clip_grads_with_norm_(parameters, config.clip_grad, norm)
        bad = bad | ~torch.isfinite(total.detach()).to(bad.device) | ~torch.isfinite(norm)
        optimizers.update(group, optimizers.learning_rate(group, step, scale))
        values |= _scalars(group, terms, total)
        values[f"grad_norm/{group}"] = norm
    return StepResult(values, bad)


def failure(step: int, utterances: Sequence[str], values: Mapping[str, Tensor]) -> str:
    """Describe a step that was not finite: its losses that were not, and its utterances.

    Args:
        step: steps done before it.
        utterances: those of its batch; one may come twice.
        values: its scalars, as in `StepResult`.
    """
    names = list(dict.fromkeys(utterances))
    more = f" and {len(names) - NAMED_UTTERANCES} more" if len(names) > NAMED_UTTERANCES else ""
    guilty = [name for name, value in values.items() if not torch.isfinite(value).all()]
    return (
        f"step {step + 1}: not finite: {', '.join(guilty) or 'a loss in another process'}, "
        f"on the utterances {', '.join(names[:NAMED_UTTERANCES])}{more}"
    )


def evaluate_objectives(
    system: System, batch: Any, step: int, config: TrainConfig, device: torch.device
) -> dict[str, Tensor]:
    """Return every term of a held-out batch, from the same objectives as in training.

    Call it within `undisturbed`, without gradients.
    """
    values: dict[str, Tensor] = {}
    for group, terms in _autocast(system.objectives(batch, step), config, device):
        values |= _scalars(group, terms, weigh(group, terms, config, step))
    return values


@contextmanager
def undisturbed(system: System) -> Iterator[None]:
    """Run in eval mode without gradients; restore buffers, modes and random state after."""
    buffers = [(buffer, buffer.detach().clone()) for buffer in system.buffers()]
    modes = [(module, module.training) for module in system.modules()]
    device = system.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        system.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            with torch.no_grad():
                for buffer, kept in buffers:
                    buffer.copy_(kept)
            for module, mode in modes:
                module.training = mode


def score(system: System, values: Mapping[str, float], config: TrainConfig) -> float:
    """Sum the weighted held-out terms that rank checkpoints; lower is better.

    Groups in `System.discriminator_groups` do not count: their losses fall when the generators
    get worse. Nor do `System.adversarial_terms`, which fall when the discriminators do. Ramped
    weights count with their last value, so that checkpoints of different steps are comparable.
    """
    return sum(
        weight_at(weight, config.steps) * values[f"{group}/{name}"]
        for group in system.groups()
        if group not in system.discriminator_groups
        for name, weight in config.weights.get(group, {}).items()
        if name not in system.adversarial_terms
    )


def _autocast(
    objectives: Iterator[tuple[str, Terms]], config: TrainConfig, device: torch.device
) -> Iterator[tuple[str, Terms]]:
    """Run only the body of the objectives in bf16; the loop's work in between is float32."""
    while True:
        with torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(config, device)):
            item = next(objectives, None)
        if item is None:
            return
        yield item


def _scalars(group: str, terms: Terms, total: Tensor) -> dict[str, Tensor]:
    values = {f"{group}/{name}": torch.as_tensor(term).detach() for name, term in terms.items()}
    return values | {f"total/{group}": total.detach()}

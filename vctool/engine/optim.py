"""One Adam optimizer per parameter group, its schedule, and its moments as named tensors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vctool.config import suggest
from vctool.engine.settings import TrainConfig
from vctool.errors import CheckpointError, ConfigError
from vctool.models.base import System


class GroupOptimizers:
    """The optimizers of a system, one for each of its parameter groups."""

    def __init__(self, system: System, config: TrainConfig) -> None:
        """Build one Adam for each group.

        Raises:
            ConfigError: a learning rate or loss weights for a group that the system does not have.
        """
        self.config = config
        self.parameters = {
            group: [parameter for parameter in parameters if parameter.requires_grad]
            for group, parameters in system.groups().items()
        }
        self.names = {parameter: name for name, parameter in system.named_parameters()}
        _check_partition(system, self.parameters, self.names)
        for group in system.discriminator_groups:
            assert group in self.parameters, f"{type(system).__module__}: no group {group}"
        for field in ("learning_rates", "weights"):
            for group in getattr(config, field):
                if group not in self.parameters:
                    raise ConfigError(
                        f"train.{field}.{group}: no such group{suggest(group, self.parameters)}"
                    )
        self._adams = {
            group: torch.optim.Adam(parameters, lr=1.0, betas=config.betas, fused=True)
            for group, parameters in self.parameters.items()
        }

    def learning_rate(self, group: str, step: int, scale: float = 1.0) -> float:
        """Return a group's learning rate at a step: constant, then linear to zero at the last step.

        Args:
            group: which optimizer.
            step: steps done before this one, 0 to `steps - 1`.
            scale: 1, halved at each rollback.
        """
        config = self.config
        start = config.decay_from * config.steps
        share = 1.0 if step < start else (config.steps - step) / (config.steps - start)
        return config.learning_rates.get(group, config.learning_rate) * share * scale

    def clear(self, group: str) -> None:
        """Clear a group's gradients."""
        self._adams[group].zero_grad(set_to_none=True)

    def update(self, group: str, learning_rate: float) -> None:
        """Update one group with its gradients, then clear them."""
        adam = self._adams[group]
        for settings in adam.param_groups:
            settings["lr"] = learning_rate
        adam.step()
        self.clear(group)

    def moments(self) -> dict[str, Tensor]:
        """Return Adam's state as `group/parameter/moment`, for a checkpoint."""
        return {
            f"{group}/{self.names[parameter]}/{key}": value
            for group, adam in self._adams.items()
            for parameter in self.parameters[group]
            for key, value in adam.state.get(parameter, {}).items()
        }

    def load_moments(self, stored: Mapping[str, Tensor]) -> None:
        """Load Adam's state; parameters that are not in it start without one.

        Raises:
            CheckpointError: a tensor belongs to no parameter here.
        """
        by_name = {name: parameter for parameter, name in self.names.items()}
        for adam in self._adams.values():
            adam.state.clear()
        for path, value in stored.items():
            group, _, rest = path.partition("/")
            name, _, key = rest.rpartition("/")
            if group not in self._adams or name not in by_name:
                raise CheckpointError(
                    f"optimizer state '{path}' belongs to no parameter of this model; "
                    "start over with --fresh"
                )
            parameter = by_name[name]
            # a new tensor: memory aligned as in an uninterrupted run gives the same rounding
            own = torch.empty(value.shape, dtype=value.dtype, device=parameter.device).copy_(value)
            self._adams[group].state[parameter][key] = own


def _check_partition(
    system: System, groups: Mapping[str, list[nn.Parameter]], names: Mapping[nn.Parameter, str]
) -> None:
    """Assert that every trainable parameter is in exactly one group, as families must ensure."""
    owners: dict[nn.Parameter, str] = {}
    for group, parameters in groups.items():
        for parameter in parameters:
            assert parameter not in owners, (
                f"{names[parameter]} is in the groups {owners[parameter]} and {group}"
            )
            owners[parameter] = group
    orphans = [n for p, n in names.items() if p.requires_grad and p not in owners]
    assert not orphans, f"{type(system).__module__}: in no group: {', '.join(orphans[:5])}"

"""The running mean of the weights, which converts in place of the last step's where it is kept.

Steps of a generator against a discriminator go round the point that they look for, and those at a
high learning rate round the minimum; their mean is nearer to it than any of them (Polyak and
Juditsky, 1992, "Acceleration of stochastic approximation by averaging"; for GANs Yazici et al.,
2019, "The unusual effectiveness of averaging in GAN training").
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from vctool.models.base import System

WARM_UP = 10
"""At step t the decay is at most (1 + t) / (WARM_UP + t), or the start would stay in the mean."""


class Average:
    """An exponential moving average of all weights that train, but for the discriminators'.

    Where none is kept, its methods leave the system as it is.
    """

    def __init__(self, system: System, decay: float | None) -> None:
        """Begin with the weights as they are.

        Args:
            system: on the device where it is trained.
            decay: share of the mean that a step leaves, 0 to below 1; None keeps no mean.
        """
        judging = {
            parameter
            for group, parameters in system.groups().items()
            if group in system.discriminator_groups
            for parameter in parameters
        }
        self._decay = decay
        self._weights = dict(system.named_parameters())
        self._means = {
            name: parameter.detach().clone()
            for name, parameter in self._weights.items()
            if decay is not None and parameter.requires_grad and parameter not in judging
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights after a step; `step` is how many steps are done, 1 at the first."""
        if self._decay is None:
            return
        decay = min(self._decay, (1 + step) / (WARM_UP + step))
        weights: list[Tensor] = [self._weights[name] for name in self._means]
        torch._foreach_lerp_(list(self._means.values()), weights, 1.0 - decay)

    def training(self) -> dict[str, Tensor]:
        """Return the weights that training goes on with, of which means are kept; not in `used`."""
        return {name: self._weights[name].detach() for name in self._means}

    @contextmanager
    def used(self) -> Iterator[None]:
        """Give the system the means for as long as the context lasts."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def load(self, training: Mapping[str, Tensor]) -> None:
        """Take the means from the system, as a checkpoint or a start gave it weights.

        Args:
            training: the weights to go on with, by name; where there are none, since no mean was
                kept so far, those of the system.
        """
        for name, mean in self._means.items():
            mean.copy_(self._weights[name])
        for name, weight in training.items():
            self._weights[name].copy_(weight)

    def _exchange(self) -> None:
        for name, mean in self._means.items():
            parameter = self._weights[name]
            parameter.data, self._means[name] = mean, parameter.data

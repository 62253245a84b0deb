"""MiniRocket in torch: convolution features of a discriminator, differentiable in the input.

Dempster, Schmidt and Webb, "MiniRocket" (KDD 2021, arXiv:2012.08791), multivariate form. Every
kernel has nine taps, three of weight 2 and six of weight -1, which makes 84 of them. Each is used
at several dilations, sums a random combination of channels, and yields the proportion of positive
values (PPV) of its output C above each of several biases, which are quantiles of C on data.

Differs from the published method in one thing: the count 1[C > b] has no gradient, so training
replaces it with the algebraic sigmoid of `vctool.models.vocal_cyclegan.ppv`. `hard=True` counts.
"""

import math
from itertools import combinations as choose
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vctool.models.vocal_cyclegan.ppv import (
    KERNELS,
    TAPS,
    DilationPlan,
    convolve,
    plan_dilation,
    proportion_of_positive_values,
)

MAX_DILATIONS = 32
"""Most dilations that one kernel is used at, as published."""
MIN_RELATIVE_SCALE = 1e-3
"""Smallest spread of a convolution, relative to the largest: keeps constant channels finite."""


class Dilations(NamedTuple):
    """The dilations of one input length, and how many biases each kernel has at each."""

    dilations: tuple[int, ...]
    features: tuple[int, ...]


def choose_dilations(
    length: int, num_features: int, max_dilations: int = MAX_DILATIONS
) -> Dilations:
    """Spread dilations exponentially from 1 to the longest kernel that fits the input.

    Args:
        length: T of the input [frames], at least 9.
        num_features: wanted number of features; the largest multiple of 84 up to it is used.
        max_dilations: most dilations before equal ones are merged.

    >>> choose_dilations(256, 10_000).dilations[-1], 84 * sum(choose_dilations(256, 10_000)[1])
    (31, 9996)
    """
    assert length >= TAPS, f"MiniRocket needs at least {TAPS} frames, not {length}"
    assert num_features >= 1, f"MiniRocket needs a positive number of features, not {num_features}"
    per_kernel = max(num_features // KERNELS, 1)
    draws = min(per_kernel, max_dilations)
    top = math.log2((length - 1) / (TAPS - 1))
    grid = np.logspace(0, top, draws, base=2).astype(np.int64)
    dilations, counts = np.unique(grid, return_counts=True)
    features = (counts * (per_kernel / draws)).astype(np.int64)
    # What rounding down lost goes to the smallest dilations, one each, round after round.
    for extra in range(per_kernel - int(features.sum())):
        features[extra % len(features)] += 1
    return Dilations(tuple(dilations.tolist()), tuple(features.tolist()))


def choose_channels(rows: int, channels: int, seed: int) -> Tensor:
    """Draw which channels each convolution sums: 1 to 9, their number log-uniform.

    Returns:
        (rows, channels) bool, at least one True in every row.
    """
    rng = np.random.default_rng(seed)
    top = math.log2(min(channels, TAPS) + 1)
    counts = (2 ** rng.uniform(0, top, rows)).astype(np.int64)
    chosen = np.zeros((rows, channels), dtype=bool)
    for row, count in zip(chosen, counts, strict=True):
        row[rng.choice(channels, count, replace=False)] = True
    return torch.from_numpy(chosen)


def golden_quantiles(count: int) -> Tensor:
    """Return the low-discrepancy sequence (i * golden ratio) mod 1, i = 1..count, in [0, 1)."""
    steps = np.arange(1, count + 1, dtype=np.float64) * ((math.sqrt(5) + 1) / 2)
    return torch.from_numpy((steps % 1).astype(np.float32))


class MiniRocket(nn.Module):
    """PPV features of dilated random-channel convolutions, differentiable in their input.

    Nothing is trained. What `fit` learns from data are buffers, so a checkpoint carries them.
    `forward` raises until `fit` is called or a state is loaded.

    Args:
        channels: C of the input.
        length: T of the input [frames], at least 9; decides the dilations. Other lengths are
            accepted as long as the longest kernel fits.
        num_features: wanted number of features; the largest multiple of 84 up to it is used.
        seed: of the channel combinations, and of the examples that `fit` takes biases from.
        temperature: width of the soft count in standard deviations of the convolution output.
            Smaller follows the hard count closer and lets fewer frames carry the gradient.
        max_dilations: most dilations that one kernel is used at.

    Shape:
        - Input: (B, C, T)
        - Output: (B, F) in [0, 1], F = `out_features`; ordered by dilation, kernel, bias.

    >>> MiniRocket(channels=4, length=64, num_features=500).out_features
    420
    """

    dilations: Tensor
    features_per_dilation: Tensor
    combinations: Tensor
    biases: Tensor
    scales: Tensor
    is_fitted: Tensor

    def __init__(
        self,
        channels: int,
        length: int,
        num_features: int = 10_000,
        seed: int = 0,
        temperature: float = 0.1,
        max_dilations: int = MAX_DILATIONS,
    ) -> None:
        super().__init__()
        assert channels >= 1, f"MiniRocket needs at least one channel, not {channels}"
        assert temperature > 0, f"the temperature must be positive, not {temperature}"
        self.channels = channels
        self.length = length
        self.seed = seed
        self.temperature = temperature
        dilations, features = choose_dilations(length, num_features, max_dilations)
        rows = KERNELS * len(dilations)
        self.out_features = KERNELS * sum(features)
        self.register_buffer("dilations", torch.tensor(dilations))
        self.register_buffer("features_per_dilation", torch.tensor(features))
        self.register_buffer("combinations", choose_channels(rows, channels, seed))
        self.register_buffer("biases", torch.zeros(self.out_features))
        self.register_buffer("scales", torch.ones(rows))
        self.register_buffer("is_fitted", torch.tensor(False))
        self._plans: list[DilationPlan] = []
        self._plans_of: tuple[Tensor, ...] = ()
        self._plans_versions: tuple[int, ...] = ()
        self._fitted = False

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Set biases and scales from data.

        As published, the biases of a kernel at a dilation are low-discrepancy quantiles of its
        output on one example drawn at random. The scale is the standard deviation of that output
        over all of `x`, so that `temperature` means the same for every feature and any unit.

        Args:
            x: (N, C, T) examples, in the unit that forward will see.
        """
        self._check(x)
        assert len(x) > 0, "MiniRocket.fit needs at least one example"
        assert bool(torch.isfinite(x).all()), "MiniRocket.fit needs finite examples"
        x = x.to(self.biases)
        rng = np.random.default_rng([self.seed, 1])
        pick = torch.from_numpy(rng.integers(len(x), size=(len(self.dilations), KERNELS)))
        quantiles = golden_quantiles(self.out_features).to(x.device)
        kernels = torch.arange(KERNELS, device=x.device)
        start = 0
        for index, plan in enumerate(self._plan()):
            output = convolve(x, plan)  # (84, N, T)
            stop = start + KERNELS * plan.features
            chosen = output[kernels, pick[index].to(x.device)]
            wanted = quantiles[start:stop].view(KERNELS, plan.features)
            self.biases[start:stop] = _row_quantiles(chosen, wanted).flatten()
            self.scales[KERNELS * index : KERNELS * (index + 1)] = output.flatten(1).std(
                1, correction=0
            )
            start = stop
        self._floor_scales()
        self.is_fitted.fill_(True)

    @classmethod
    def from_sktime(cls, transformer: Any, channels: int, temperature: float = 0.1) -> "MiniRocket":
        """Take over a fitted `sktime` `MiniRocketMultivariate`: its features equal `hard=True`.

        sktime keeps no scales, so soft counts take one scale for all: the spread of the biases.

        Args:
            transformer: fitted; its `parameters` hold channel counts, channels, dilations,
                features per dilation and biases.
            channels: C of the data that it was fitted on (it does not store that itself).
            temperature: as in the constructor.
        """
        counts, indices, dilations, features, biases = transformer.parameters
        length = (TAPS - 1) * int(dilations[-1]) + 1
        self = cls(channels, length, temperature=temperature)
        rows = KERNELS * len(dilations)
        assert len(counts) == rows, f"{len(counts)} channel counts for {rows} convolutions"
        assert int(indices.max()) < channels, f"channel {indices.max()} of {channels} is used"
        chosen = torch.zeros(rows, channels, dtype=torch.bool)
        chosen[np.repeat(np.arange(rows), counts), indices] = True
        self.dilations = torch.tensor(np.asarray(dilations), dtype=torch.int64)
        self.features_per_dilation = torch.tensor(np.asarray(features), dtype=torch.int64)
        self.combinations = chosen
        self.biases = torch.tensor(biases, dtype=torch.float32)
        self.scales = self.biases.std(correction=0).repeat(rows)
        self.out_features = len(biases)
        self._floor_scales()
        self.is_fitted.fill_(True)
        return self

    def forward(self, x: Tensor, hard: bool = False) -> Tensor:
        """Return the PPV features of a batch, in float32 (float64 for float64 input).

        Args:
            x: (B, C, T), any float type; autocast does not lower the precision in here.
            hard: count C > b exactly, as published; then nothing has a gradient.

        Returns:
            (B, F) in [0, 1].
        """
        self._check(x)
        assert self._fitted, "MiniRocket has no biases yet: call fit or load a state"
        with torch.autocast(x.device.type, enabled=False):
            x = x if x.dtype == torch.float64 else x.float()
            width = self.temperature * self.scales.to(x)
            return proportion_of_positive_values(x, self.biases.to(x), width, self._plan(), hard)

    def extra_repr(self) -> str:
        """Tell the sizes in `print(module)`."""
        return f"channels={self.channels}, length={self.length}, features={self.out_features}"

    def _check(self, x: Tensor) -> None:
        assert x.ndim == 3 and x.shape[1] == self.channels, (
            f"MiniRocket was made for (B, {self.channels}, T), not {tuple(x.shape)}"
        )
        span = (TAPS - 1) * self._plan()[-1].dilation + 1
        assert x.shape[2] >= span, f"{x.shape[2]} frames are fewer than the {span} of a kernel"

    def _floor_scales(self) -> None:
        top = float(self.scales.max())
        # Constant data has no spread to take the scale from; 1 is as good as any.
        self.scales.clamp_(min=MIN_RELATIVE_SCALE * top) if top > 0 else self.scales.fill_(1.0)

    def _plan(self) -> list[DilationPlan]:
        """Index tables of every dilation; rebuilt when a loaded state or a move changes them.

        What is read from the device for them, `is_fitted` too, is then read once and not per call.
        """
        buffers = (
            self.dilations,
            self.features_per_dilation,
            self.combinations,
            self.is_fitted,
        )
        # The version counts writes in place (a loaded state); inference tensors have none.
        versions = tuple(-1 if b.is_inference() else b._version for b in buffers)
        same = all(old is new for old, new in zip(self._plans_of, buffers, strict=False))
        if not (same and versions == self._plans_versions):
            taps = list(choose(range(TAPS), 3))
            per_dilation = self.combinations.cpu().split(KERNELS)
            numbers = zip(self.dilations.tolist(), self.features_per_dilation.tolist(), strict=True)
            self._plans = [
                plan_dilation(index, dilation, features, chosen, taps, self.combinations.device)
                for index, ((dilation, features), chosen) in enumerate(
                    zip(numbers, per_dilation, strict=True)
                )
            ]
            self._fitted = bool(self.is_fitted)
            self._plans_of, self._plans_versions = buffers, versions
        return self._plans


def _row_quantiles(values: Tensor, quantiles: Tensor) -> Tensor:
    """Quantiles of every row with linear interpolation between order statistics.

    Args:
        values: (K, T).
        quantiles: (K, n) in [0, 1]: each row its own.

    Returns:
        (K, n).
    """
    ordered = values.sort(1).values
    place = quantiles.double() * (values.shape[1] - 1)
    below = place.floor()
    low = ordered.gather(1, below.long())
    high = ordered.gather(1, place.ceil().long())
    return torch.lerp(low, high, (place - below).to(values))

"""Proportion of positive values of MiniRocket's convolutions, and its derivative.

Per convolution output C (T values) and bias b:

    hard  PPV = mean_t 1[C_t > b]
    soft  PPV = mean_t s((C_t - b) / w),  s(u) = (1 + u / sqrt(1 + u^2)) / 2
          d PPV / d C_t = (1 + u^2)^(-3/2) / (2 w T)

s is smooth, tends to the hard count as the width w goes to 0, and its slope falls off as a power
of u, not exponentially, so a sample far from every bias still gets a gradient. It also
costs one reciprocal square root where a logistic sigmoid costs an exponential.

Speed comes from the order of operations, not from special code. The 84 kernels have taps of one
pattern, so channels are summed first (a bag of rows, 84 rows per dilation) and nine shifted
multiples follow.
Work goes in pieces of the batch that stay in cache, on a CPU one piece per thread, and the backward
pass computes C again instead of keeping (B, F, T) values: what autograd would store is 650 MB where
the input has 8.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from vctool.threads import map_parts

KERNELS = 84
"""Ways to choose 3 taps of 9."""
TAPS = 9
"""Taps of a kernel."""
HALF = KERNELS // 2
COLUMNS = 4096
"""Input values per channel in one piece of a batch on a CPU, at most."""
PIECE = 1 << 20
"""Values of (kernel, example, bias, frame) handled at once on a CPU: a few MB."""
GPU_FACTOR = 32
"""How much larger pieces are on an accelerator, which wants fewer and larger launches."""


class Bags(NamedTuple):
    """Rows to be summed: bag i holds `rows[starts[i]:starts[i + 1]]`."""

    rows: Tensor
    starts: Tensor

    def sum(self, table: Tensor) -> Tensor:
        """Sum the rows of a (R, L) table in each bag; an empty bag is 0. Returns (bags, L)."""
        return functional.embedding_bag(self.rows, table, self.starts, mode="sum")


class DilationPlan(NamedTuple):
    """Tables of one dilation. Rows are ordered: zero-padded kernels first, then the others.

    As published, every second kernel sees the input padded with zeros (T values of C), the others
    only frames where all taps are inside (T - 8 dilation values), alternating over dilations too.
    """

    dilation: int
    features: int
    order: Tensor
    """(84,) published kernel number of every row."""
    mix: Bags
    """Channels of every row."""
    unmix: Bags
    """Rows that use each channel: the transpose of `mix`."""
    weights: tuple[Tensor, ...]
    """Nine times (84, 1, 1): the weight of each tap."""


def plan_dilation(
    index: int,
    dilation: int,
    features: int,
    chosen: Tensor,
    taps: Sequence[tuple[int, ...]],
    device: torch.device,
) -> DilationPlan:
    """Make the tables of one dilation.

    Args:
        index: place of the dilation among all.
        dilation: distance of taps [frames].
        features: biases per kernel.
        chosen: (84, C) bool, channels of each kernel.
        taps: the three taps of weight 2 of each kernel.
        device: where the tables go.
    """
    parity = index % 2
    order = torch.cat([torch.arange(parity, KERNELS, 2), torch.arange(1 - parity, KERNELS, 2)])
    weights = torch.full((KERNELS, TAPS), -1.0)
    weights.scatter_(1, torch.tensor(taps), 2.0)
    chosen, weights = chosen[order], weights[order]
    return DilationPlan(
        dilation,
        features,
        order.to(device),
        _bags(chosen, device),
        _bags(chosen.T, device),
        tuple(weights[:, tap, None, None].to(device) for tap in range(TAPS)),
    )


def convolve(x: Tensor, plan: DilationPlan) -> Tensor:
    """Convolve with all kernels of one dilation, zero-padded, in the published kernel order.

    Args:
        x: (B, C, T).
        plan: of the dilation.

    Returns:
        (84, B, T).
    """
    mixed = plan.mix.sum(x.transpose(0, 1).flatten(1)).view(KERNELS, len(x), -1)
    pad = (TAPS // 2) * plan.dilation
    rows = _correlate(functional.pad(mixed, (pad, pad)), plan.weights, plan.dilation)
    output = torch.empty_like(rows)
    output[plan.order] = rows
    return output


def proportion_of_positive_values(
    x: Tensor, biases: Tensor, widths: Tensor, plans: list[DilationPlan], hard: bool
) -> Tensor:
    """Return the PPV features of a batch.

    Args:
        x: (B, C, T) float32 or float64.
        biases: (F,) ordered by dilation, kernel, bias; same type as `x`.
        widths: (84 * dilations,) > 0: w of every convolution, in the unit of C.
        plans: one per dilation.
        hard: count, without a gradient.

    Returns:
        (B, F) in [0, 1].
    """
    if hard:
        return _forward(x.detach(), biases, widths, plans, hard=True)
    features: Tensor = _SoftPPV.apply(x, biases, widths, plans)
    return features


class _SoftPPV(torch.autograd.Function):
    """The soft count; stores only its input and recomputes the convolutions backward."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, biases: Tensor, widths: Tensor, plans: list[DilationPlan]
    ) -> Tensor:
        ctx.save_for_backward(x, biases, widths)
        ctx.plans = plans
        return _forward(x, biases, widths, plans, hard=False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, biases, widths = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            return None, None, None, None
        return _backward(x, biases, widths, ctx.plans, grad), None, None, None


class _Half(NamedTuple):
    """One parity of one dilation: 42 rows and their tables."""

    plan: DilationPlan
    padded: bool
    rows: slice
    weights: tuple[Tensor, ...]
    widths: Tensor
    """(42, 1, 1)."""
    biases: Tensor
    """(42, 1, n, 1) in units of the width."""
    columns: Tensor
    """(42, n) places of these features in the output."""


def _halves(
    biases: Tensor, widths: Tensor, plans: list[DilationPlan]
) -> list[tuple[DilationPlan, tuple[_Half, _Half]]]:
    """Split biases and widths between the two parities of every dilation."""
    halves = []
    counts = [KERNELS * plan.features for plan in plans]
    first = 0
    for plan, bias, width in zip(plans, biases.split(counts), widths.split(KERNELS), strict=True):
        n = plan.features
        pair = []
        for padded, rows in ((True, slice(0, HALF)), (False, slice(HALF, KERNELS))):
            order = plan.order[rows]
            w = width[order].view(HALF, 1, 1)
            b = (bias.view(KERNELS, n)[order] / w[..., 0]).view(HALF, 1, n, 1)
            columns = first + order[:, None] * n + torch.arange(n, device=order.device)
            weights = tuple(weight[rows].to(biases.dtype) for weight in plan.weights)
            pair.append(_Half(plan, padded, rows, weights, w, b, columns))
        halves.append((plan, (pair[0], pair[1])))
        first += KERNELS * n
    return halves


def _forward(
    x: Tensor, biases: Tensor, widths: Tensor, plans: list[DilationPlan], hard: bool
) -> Tensor:
    if hard:  # in units of the width a tie with the bias could be rounded away from equality
        widths = torch.ones_like(widths)
    halves = _halves(biases, widths, plans)

    def features(piece: Tensor) -> Tensor:
        table = _table(piece)
        out = table.new_empty(len(piece), len(biases))
        for plan, pair in halves:
            mixed = plan.mix.sum(table).view(KERNELS, len(piece), piece.shape[2])
            for half in pair:
                scaled = _outputs(mixed, half)
                parts = half.biases.split(_step(scaled), dim=2)
                ppv = torch.cat([_count(scaled, b, hard) for b in parts], dim=2)  # (42, b, n)
                out[:, half.columns] = ppv.transpose(0, 1)
        return out

    return _per_piece(features, x)


def _backward(
    x: Tensor, biases: Tensor, widths: Tensor, plans: list[DilationPlan], grad: Tensor
) -> Tensor:
    halves = _halves(biases, widths, plans)

    def gradient(piece: Tensor, share_of: Tensor) -> Tensor:
        table = _table(piece)
        table_grad = torch.zeros_like(table)
        for plan, pair in halves:
            mixed = plan.mix.sum(table).view(KERNELS, len(piece), piece.shape[2])
            mixed_grad = torch.empty_like(mixed)
            for half in pair:
                scaled = _outputs(mixed, half)
                share = share_of[:, half.columns].transpose(0, 1)[..., None]  # (42, b, n, 1)
                share = share / (2 * scaled.shape[-1] * half.widths[..., None])
                step = _step(scaled)
                parts = zip(half.biases.split(step, 2), share.split(step, 2), strict=True)
                slopes = (_slope(scaled, b, g) for b, g in parts)
                slope = next(slopes)
                for more in slopes:
                    slope += more
                mixed_grad[half.rows] = _outputs_adjoint(slope, half)
            table_grad += plan.unmix.sum(mixed_grad.flatten(1))
        return table_grad.view(x.shape[1], len(piece), x.shape[2]).transpose(0, 1)

    return _per_piece(gradient, x, grad)


def _per_piece(function: Callable[..., Tensor], x: Tensor, *more: Tensor) -> Tensor:
    """Apply a function to pieces of whole examples, and join what it returns for each.

    Args:
        function: of pieces of all tensors.
        x: (B, C, T).
        *more: tensors with as many rows as `x`.
    """
    on_cpu = x.device.type == "cpu"
    columns = COLUMNS if on_cpu else COLUMNS * GPU_FACTOR
    pieces = math.ceil(len(x) / max(1, columns // x.shape[2]))
    if on_cpu:  # equal shares for all threads
        threads = torch.get_num_threads()
        pieces = min(len(x), math.ceil(pieces / threads) * threads)
    parts = list(zip(*(tensor.tensor_split(max(1, pieces)) for tensor in (x, *more)), strict=True))
    if not on_cpu:
        return torch.cat([function(*part) for part in parts])
    return torch.cat(map_parts(lambda part: function(*part), parts))


def _table(piece: Tensor) -> Tensor:
    """(b, C, T) -> (C, b * T)."""
    return piece.transpose(0, 1).reshape(piece.shape[1], -1).contiguous()


def _step(scaled: Tensor) -> int:
    """How many biases of these outputs are handled at once."""
    piece = PIECE if scaled.device.type == "cpu" else PIECE * GPU_FACTOR
    return max(1, piece // max(1, scaled.numel()))


def _outputs(mixed: Tensor, half: _Half) -> Tensor:
    """(84, b, T) sums over channels -> (42, b, T') outputs C in units of the width."""
    dilation = half.plan.dilation
    rows = mixed[half.rows]
    if half.padded:
        pad = (TAPS // 2) * dilation
        rows = functional.pad(rows, (pad, pad))
    output = _correlate(rows, half.weights, dilation)
    return output.div_(half.widths)


def _outputs_adjoint(slope: Tensor, half: _Half) -> Tensor:
    """(42, b, T') gradient with respect to C -> (42, b, T) with respect to the channel sums."""
    dilation, length = half.plan.dilation, slope.shape[-1]
    spread = slope.new_zeros(*slope.shape[:2], length + (TAPS - 1) * dilation)
    term = torch.empty_like(slope)
    for tap, weight in enumerate(half.weights):
        spread.narrow(2, tap * dilation, length).add_(torch.mul(slope, weight, out=term))
    if half.padded:
        return spread.narrow(2, (TAPS // 2) * dilation, length)
    return spread


def _correlate(rows: Tensor, weights: tuple[Tensor, ...], dilation: int) -> Tensor:
    """Sum nine shifted multiples: (K, b, L) -> (K, b, L - 8 dilation)."""
    length = rows.shape[2] - (TAPS - 1) * dilation
    output = rows.narrow(2, 0, length) * weights[0]
    term = torch.empty_like(output)
    for tap in range(1, TAPS):
        output += torch.mul(rows.narrow(2, tap * dilation, length), weights[tap], out=term)
    return output


def _count(scaled: Tensor, biases: Tensor, hard: bool) -> Tensor:
    """(42, b, T') and (42, 1, n, 1) -> (42, b, n) proportions in [0, 1]."""
    u = scaled[:, :, None] - biases
    if hard:
        return u.gt_(0).mean(-1)
    ratio = torch.mul(u, u).add_(1).rsqrt_().mul_(u)  # u / sqrt(1 + u^2)
    return ratio.mean(-1).mul_(0.5).add_(0.5).clamp_(0, 1)  # |ratio| may round to above 1


def _slope(scaled: Tensor, biases: Tensor, share: Tensor) -> Tensor:
    """Sum over biases of share * (1 + u^2)^(-3/2): (42, b, T')."""
    u = scaled[:, :, None] - biases
    root = u.mul_(u).add_(1).rsqrt_()
    return torch.mul(root, root).mul_(root).mul_(share).sum(2)


def _bags(chosen: Tensor, device: torch.device) -> Bags:
    """(bags, rows) bool -> the rows of every bag."""
    counts = chosen.sum(1)
    return Bags(chosen.nonzero()[:, 1].to(device), (counts.cumsum(0) - counts).to(device))

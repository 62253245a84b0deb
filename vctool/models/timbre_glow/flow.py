"""A conditional flow over sequences: Glow (Kingma and Dhariwal, 2018) with time as its only axis.

Each of two levels puts two frames on end into the channels of one, and the condition's along with
them (`squeeze`), then takes some steps: ActNorm, an invertible 1x1 convolution by its LU
decomposition, and an affine coupling. Between the levels half of the channels leave, as what
differs from what the other half makes expected (`Split`):

    x (B, M, F) -> (B, 2M, F/2) -> steps -> half leaves
                                            half -> (B, 2M, F/4) -> steps

The latent has the form of x, so that noise which is a function of the frame can be put in its
place. All densities are exact; a length that 4 does not divide is extended by its last frame.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from vctool.models.timbre_glow.settings import SQUEEZE

MOST_SCALE = 1.5
"""A log-scale lies between minus this and this, so that no step can overflow."""


def squeeze(values: Tensor) -> Tensor:
    """Put two frames on end into the channels of one: (B, C, F) to (B, 2C, F/2)."""
    return values.unflatten(2, (-1, 2)).transpose(2, 3).flatten(1, 2)


def unsqueeze(values: Tensor) -> Tensor:
    """Undo `squeeze`."""
    return values.unflatten(1, (-1, 2)).transpose(2, 3).flatten(2, 3)


def extended(values: Tensor) -> Tensor:
    """Repeat the last of (B, C, F) frames up to a multiple of `SQUEEZE`."""
    return functional.pad(values, (0, -values.shape[2] % SQUEEZE), mode="replicate")


def bounded(raw: Tensor) -> Tensor:
    """Return log-scales within `MOST_SCALE`; near 0 they are the raw values."""
    return MOST_SCALE * torch.tanh(raw / MOST_SCALE)


def zero(layer: nn.Conv1d) -> nn.Conv1d:
    """Begin a layer at zero, so that what it shapes begins as the identity."""
    for weight in layer.parameters():
        nn.init.zeros_(weight)
    return layer


class ActNorm(nn.Module):
    """A scale and an offset for every channel, which begin where a batch has mean 0 and variance 1.

    Args:
        channels: how many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(channels, 1))
        self.log_scale = nn.Parameter(torch.zeros(channels, 1))

    @torch.no_grad()
    def begin(self, values: Tensor) -> None:
        """Begin at the statistics of a batch (B, C, F)."""
        spread = values.std(dim=(0, 2), correction=0).clamp(min=1e-3)
        self.offset.copy_(-values.mean(dim=(0, 2))[:, None])
        self.log_scale.copy_(-spread.log()[:, None])

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, F); also return the log-determinant, which all of a batch share: ()."""
        mapped = (values + self.offset) * self.log_scale.exp()
        return mapped, values.shape[2] * self.log_scale.sum()

    def inverse(self, values: Tensor) -> Tensor:
        """Undo `forward`."""
        return values * torch.exp(-self.log_scale) - self.offset


class Mix(nn.Module):
    """An invertible 1x1 convolution, W = P L U, which begins as a random rotation.

    The diagonal of U is held as signs, which stay, and logarithms, whose sum is the log-determinant
    of a frame.

    Args:
        channels: how many.
    """

    order: Tensor
    signs: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        permutation, lower, upper = torch.linalg.lu(rotation)
        self.register_buffer("order", permutation.argmax(dim=1))
        self.register_buffer("signs", upper.diagonal().sign())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))
        self.log_diagonal = nn.Parameter(upper.diagonal().abs().log())

    def _triangles(self) -> tuple[Tensor, Tensor]:
        one = torch.eye(len(self.signs), device=self.signs.device)
        diagonal = torch.diag(self.signs * self.log_diagonal.exp())
        return self.lower.tril(-1) + one, self.upper.triu(1) + diagonal

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, F); also return the log-determinant, which all of a batch share: ()."""
        lower, upper = self._triangles()
        mapped = (lower @ (upper @ values))[:, self.order]
        return mapped, values.shape[2] * self.log_diagonal.sum()

    def inverse(self, values: Tensor) -> Tensor:
        """Undo `forward`."""
        lower, upper = self._triangles()
        flat = values[:, self.order.argsort()].transpose(0, 1).flatten(1)
        solved = torch.linalg.solve_triangular(lower, flat, upper=False, unitriangular=True)
        solved = torch.linalg.solve_triangular(upper, solved, upper=True)
        return solved.unflatten(1, (len(values), -1)).transpose(0, 1)


class Coupling(nn.Module):
    """An affine map of half of the channels by the other half and the condition.

    Args:
        channels: how many.
        condition: channels of the condition.
        width: of its own.
    """

    def __init__(self, channels: int, condition: int, width: int) -> None:
        super().__init__()
        self.stay = channels // 2
        self.begin = nn.Conv1d(self.stay, width, 3, padding=1)
        self.told = nn.Conv1d(condition, 2 * width, 1)
        self.gated = nn.Conv1d(width, 2 * width, 3, padding=1)
        self.end = zero(nn.Conv1d(width, 2 * (channels - self.stay), 1))

    def _map(self, kept: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.leaky_relu(self.begin(kept), 0.1)
        turn, gate = (self.gated(x) + self.told(condition)).chunk(2, dim=1)
        raw, offset = self.end(x + torch.tanh(turn) * torch.sigmoid(gate)).chunk(2, dim=1)
        return bounded(raw), offset

    def forward(self, values: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, F) by a condition (B, D, F); also return the log-determinants (B,)."""
        kept, moved = values[:, : self.stay], values[:, self.stay :]
        scale, offset = self._map(kept, condition)
        return torch.cat([kept, (moved + offset) * scale.exp()], dim=1), scale.sum(dim=(1, 2))

    def inverse(self, values: Tensor, condition: Tensor) -> Tensor:
        """Undo `forward`."""
        kept, moved = values[:, : self.stay], values[:, self.stay :]
        scale, offset = self._map(kept, condition)
        return torch.cat([kept, moved * torch.exp(-scale) - offset], dim=1)


class Step(nn.Module):
    """ActNorm, an invertible convolution and a coupling."""

    def __init__(self, channels: int, condition: int, width: int) -> None:
        super().__init__()
        self.norm = ActNorm(channels)
        self.mix = Mix(channels)
        self.coupling = Coupling(channels, condition, width)

    def forward(self, values: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, F) by a condition (B, D, F); also return the log-determinants (B,)."""
        values, of_norm = self.norm(values)
        values, of_mix = self.mix(values)
        values, of_coupling = self.coupling(values, condition)
        return values, of_coupling + of_norm + of_mix

    def inverse(self, values: Tensor, condition: Tensor) -> Tensor:
        """Undo `forward`."""
        values = self.coupling.inverse(values, condition)
        return self.norm.inverse(self.mix.inverse(values))


class Split(nn.Module):
    """Lets the second half of the channels leave, standardised by what the first makes expected."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.stay = channels // 2
        self.expect = zero(nn.Conv1d(self.stay + condition, 2 * (channels - self.stay), 3, 1, 1))

    def _expected(self, kept: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        raw, mean = self.expect(torch.cat([kept, condition], dim=1)).chunk(2, dim=1)
        return bounded(raw), mean

    def forward(self, values: Tensor, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the halves of (B, C, F), what stays first, and the log-determinants (B,)."""
        kept, leaves = values[:, : self.stay], values[:, self.stay :]
        scale, mean = self._expected(kept, condition)
        return kept, (leaves - mean) * torch.exp(-scale), -scale.sum(dim=(1, 2))

    def inverse(self, kept: Tensor, left: Tensor, condition: Tensor) -> Tensor:
        """Undo `forward`."""
        scale, mean = self._expected(kept, condition)
        return torch.cat([kept, left * scale.exp() + mean], dim=1)


class Flow(nn.Module):
    """The whole flow.

    Args:
        channels: of what is modelled, even.
        condition: channels of the condition.
        depth: steps of a level.
        width: channels within a coupling.
    """

    def __init__(self, channels: int, condition: int, depth: int, width: int) -> None:
        super().__init__()
        self.first, self.second = (
            nn.ModuleList(Step(2 * channels, times * condition, width) for _ in range(depth))
            for times in (2, 4)
        )
        self.split = Split(2 * channels, 2 * condition)

    def forward(self, values: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, F) by a condition (B, D, F).

        Returns:
            The latent (B, C, F'), where F' is F up to the next multiple of `SQUEEZE`, and the
            log-determinants (B,) of the map of the extended values.
        """
        return self._forward(values, condition, begin=False)

    @torch.no_grad()
    def begin(self, values: Tensor, condition: Tensor) -> None:
        """Begin every ActNorm at what reaches it of a batch."""
        self._forward(values, condition, begin=True)

    def _forward(self, values: Tensor, condition: Tensor, begin: bool) -> tuple[Tensor, Tensor]:
        x, told = squeeze(extended(values)), squeeze(extended(condition))
        x, total = _through(self.first, x, told, begin)
        kept, left, found = self.split(x, told)
        x, of_second = _through(self.second, squeeze(kept), squeeze(told), begin)
        latent = unsqueeze(torch.cat([unsqueeze(x), left], dim=1))
        return latent, total + found + of_second

    def inverse(self, latent: Tensor, condition: Tensor) -> Tensor:
        """Undo `forward`: (B, C, F') and a condition (B, D, F) to values (B, C, F)."""
        told = squeeze(extended(condition))
        both = squeeze(latent)
        half = both.shape[1] // 2
        x, below = squeeze(both[:, :half]), squeeze(told)
        x = _back(self.second, x, below)
        x = self.split.inverse(unsqueeze(x), both[:, half:], told)
        return unsqueeze(_back(self.first, x, told))[:, :, : condition.shape[2]]

    def log_density(self, values: Tensor, condition: Tensor) -> Tensor:
        """Return the mean log-density of a channel at a frame of (B, C, F), in nats: (B,)."""
        latent, total = self(values, condition)
        normal = -0.5 * (latent.square() + math.log(2 * math.pi)).sum(dim=(1, 2))
        return (normal + total) / latent[0].numel()


def _through(
    steps: nn.ModuleList, values: Tensor, condition: Tensor, begin: bool
) -> tuple[Tensor, Tensor]:
    total = values.new_zeros(len(values))
    for step in steps:
        assert isinstance(step, Step)
        if begin:
            step.norm.begin(values)
        values, found = step(values, condition)
        total = total + found
    return values, total


def _back(steps: nn.ModuleList, values: Tensor, condition: Tensor) -> Tensor:
    for step in reversed(list(steps)):
        assert isinstance(step, Step)
        values = step.inverse(values, condition)
    return values

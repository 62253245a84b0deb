"""Small streams for tests of exporting: a sound one, and one for each trap."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vctool.nn.streaming import Stream

GRANULE = 32
RATE = 8000

Step = tuple[Tensor, dict[str, Tensor]]


class Smooth(Stream):
    """A recurrent network over granules, and what it remembers in the state."""

    def __init__(self) -> None:
        super().__init__(RATE, GRANULE, 0, {"slow": torch.zeros(1, 1, 4)})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.rnn = nn.GRU(GRANULE, 4, batch_first=True)
            self.out = nn.Linear(4, GRANULE)
        self.requires_grad_(False)

    def step(
        self,
        wave: Tensor,
        controls: Mapping[str, Tensor],
        memory: Mapping[str, Tensor],
        start: Tensor,
    ) -> Step:
        framed = wave.reshape(1, -1, GRANULE)
        seen, slow = self.rnn(framed, memory["slow"])
        return (framed + self.out(seen)).reshape(1, 1, -1), {"slow": slow}


class Looped(Smooth):
    """The same, granule by granule in a Python loop: its length is that of the trace."""

    def step(self, *given: Any) -> Step:
        wave, _, memory, _ = given
        parts, slow = [], memory["slow"]
        for one in wave.reshape(1, -1, GRANULE).split(1, dim=1):
            seen, slow = self.rnn(one, slow)
            parts.append(one + self.out(seen))
        return torch.cat(parts, dim=1).reshape(1, 1, -1), {"slow": slow}


class Mutating(Smooth):
    """What it remembers is in a buffer, changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros(1, 1, 4))

    def step(self, *given: Any) -> Step:
        wave, _, memory, _ = given
        framed = wave.reshape(1, -1, GRANULE)
        seen, slow = self.rnn(framed, self.kept)
        self.kept.copy_(slow)
        return (framed + self.out(seen)).reshape(1, 1, -1), dict(memory)


class Hidden(Smooth):
    """What it remembers is a plain attribute, which no list of buffers shows."""

    kept = torch.zeros(1, 1, 4)

    def step(self, *given: Any) -> Step:
        wave, _, memory, start = given
        framed = wave.reshape(1, -1, GRANULE)
        first = torch.where(start > 0, self.kept, torch.zeros_like(self.kept))
        seen, slow = self.rnn(framed, first)
        self.kept = slow.detach()
        return (framed + self.out(seen)).reshape(1, 1, -1), dict(memory)


class Noisy(Smooth):
    """Breath from torch's own generator."""

    def step(self, *given: Any) -> Step:
        made, after = super().step(*given)
        return made + 0.01 * torch.randn_like(made), after


class Inverse(Smooth):
    """A spectrum and back, by torch's own transform."""

    def step(self, *given: Any) -> Step:
        wave, _, memory, _ = given
        window = torch.ones(GRANULE)
        spectrum = torch.stft(
            wave[0], GRANULE, GRANULE, window=window, center=False, return_complex=True
        )
        made = torch.istft(spectrum, GRANULE, GRANULE, window=window, center=False)
        return made.reshape(1, 1, -1), dict(memory)


class Matrix(Smooth):
    """The same by a matrix."""

    def step(self, *given: Any) -> Step:
        wave, _, memory, _ = given
        turns = torch.arange(GRANULE)[:, None] * torch.arange(GRANULE // 2 + 1) / GRANULE
        weights = torch.full((GRANULE // 2 + 1,), 2.0 / GRANULE)
        weights[0] = weights[-1] = 1.0 / GRANULE
        cosine, sine = torch.cos(2 * torch.pi * turns), torch.sin(2 * torch.pi * turns)
        framed = wave.reshape(1, -1, GRANULE)
        made = (framed @ cosine * weights) @ cosine.T + (framed @ sine * weights) @ sine.T
        return made.reshape(1, 1, -1), dict(memory)


class Trusting(Smooth):
    """Takes whatever comes, NaN too."""

    def forward(self, wave: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        (packed,) = inputs
        memory = {"slow": packed[:, 2:].reshape(1, 1, 4)}
        made, after = self.step(wave, {}, memory, packed[:, 0])
        return made, torch.cat([packed[:, :2], after["slow"].reshape(1, -1)], dim=1)

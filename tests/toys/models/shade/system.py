"""A family that runs in real time: it shades a voice with filters, breath and a slow envelope.

It learns nothing and does all that a stream may do: it looks ahead, changes rate, remembers in a
recurrent network, makes noise, and follows a control input.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vctool.config import Config
from vctool.features.base import Features
from vctool.models import base
from vctool.models.base import Condition, Context, Reference
from vctool.nn import hash_noise
from vctool.nn.cached_padding import Cached, Chain, Conv, ConvTranspose, Pointwise, Sum
from vctool.nn.streaming import Stream

GRANULE = 64


class ShadeConfig(Config):
    """Settings."""

    channels: int = 6
    """Of its networks."""


class Networks(nn.Module):
    """A dry path, filters that look ahead, and a gain of each granule."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dry = nn.Conv1d(1, 1, 1, bias=False)
        self.down = nn.Conv1d(1, channels, 2 * GRANULE, stride=GRANULE, padding=24)
        self.middle = nn.Conv1d(channels, channels, 5, padding=2)
        self.up = nn.ConvTranspose1d(channels, 1, 2 * GRANULE, stride=GRANULE, padding=8)
        self.slow = nn.GRU(1, channels, batch_first=True)
        self.gain = nn.Linear(channels + 4, 1)


class Shade(Stream):
    """The networks as a stream."""

    def __init__(self, networks: Networks, rate: int, voice: Tensor) -> None:
        down = Conv(networks.down)
        middle = Conv(networks.middle, down.delay)
        up = ConvTranspose(networks.up, middle.delay)
        ahead = Chain([down, middle, Pointwise(nn.Tanh(), middle.delay), up])
        paths = Sum([Conv(networks.dry), ahead], channels=1)
        slow = {"slow": torch.zeros(1, 1, networks.slow.hidden_size)}
        memory = paths.memory("path") | slow
        super().__init__(rate, GRANULE, paths.delay, memory, {"voice": voice})
        self.paths: Cached = paths
        self.networks = networks

    def step(
        self,
        wave: Tensor,
        controls: Mapping[str, Tensor],
        memory: Mapping[str, Tensor],
        start: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        made, after = self.paths.run(wave, memory, "path", start)
        level = made.reshape(1, -1, GRANULE).square().mean(dim=-1, keepdim=True).sqrt()
        seen, slow = self.networks.slow(level, memory["slow"])
        voice = controls["voice"][:, None].expand(1, seen.shape[1], 4)
        gain = 1 + torch.tanh(self.networks.gain(torch.cat([seen, voice], dim=-1)))
        place = hash_noise.positions(start, made.shape[-1])
        breath = hash_noise.normal(place, 0, 0).reshape(1, -1, GRANULE)
        shaded = (made.reshape(1, -1, GRANULE) + 0.1 * level * breath) * gain
        return shaded.reshape(1, 1, -1), {**after, "slow": slow}


class System(base.System):
    """Random networks, the same for everyone."""

    Config = ShadeConfig
    takes_reference = True

    def __init__(self, config: ShadeConfig, context: Context) -> None:
        super().__init__(config, context)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.networks = Networks(config.channels)
            self.register_buffer("voices", torch.randn(len(context.roles), 4))
        self.networks.dry.weight.data.fill_(1.0)
        self.voices: Tensor
        self.requires_grad_(False)

    @classmethod
    def reads(cls, config: Any) -> tuple[str, ...]:
        return ("wave",)

    @classmethod
    def writes(cls, config: Any) -> tuple[str, ...]:
        return ("wave",)

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        return {}

    def reference(self, recordings: Iterable[Features]) -> Reference:
        levels = [np.sqrt(np.mean(np.square(one["wave"]))) for one in recordings]
        return {"voice": np.full((1, 4), 10 * np.mean(levels), np.float32)}

    def streamable(self) -> Stream:
        return Shade(self.networks, self.context.features.rate, self.voices[-1:])

    def controls(self, condition: Condition, to: str | None) -> dict[str, np.ndarray]:
        if to is None:
            assert condition.reference is not None
            return {"voice": condition.reference["voice"]}
        index = self.context.roles.index(to)
        return {"voice": self.voices[index : index + 1].cpu().numpy()}

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        return base.stream_convert(self, source, condition, to)

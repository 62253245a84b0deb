"""`vae_gan` in real time: its networks, with frozen statistics, and a vocoder that is causal.

What `vae_gan` computes over an utterance is measured here once for every voice, over all of its
training recordings: the means and deviations of instance normalisation, the level, and where F0
lies. So conversion sees a few frames on either side, and a stream is the offline form of itself. It
learns nothing: training (stage 3) takes the trained networks over, and measures.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from vctool.config import suggest
from vctool.data.feature_set import FeatureSet
from vctool.data.recordings import Recordings
from vctool.errors import ConfigError
from vctool.features.base import Features
from vctool.models import base
from vctool.models.base import Condition, Context
from vctool.models.vae_gan_live.live import Live, Path
from vctool.models.vae_gan_live.settings import (
    SYNTHESIS,
    VOICES,
    VaeGanLiveConfig,
    VaeGanLiveOptions,
)
from vctool.vocoders.istft.causal import CausalNetwork

MOST_RECORDINGS = 400
"""Recordings of a voice that are measured at most, which are drawn at random."""


class Voices(Protocol):
    """A trained `vae_gan`: families import no other family, and ask it by name."""

    def path(self, role: str, delay: int) -> Path:
        """Return what turns frames of any voice into a role's."""

    def statistics(self, mels: Iterable[np.ndarray]) -> Tensor:
        """Measure what is frozen of a voice."""

    def moving(self, source: str, target: str) -> np.ndarray:
        """Return how a role's F0 becomes another's."""


class System(base.System):
    """Frozen networks, and what was measured of every role."""

    Config = VaeGanLiveConfig
    Options = VaeGanLiveOptions
    config: VaeGanLiveConfig
    measured: Tensor

    def __init__(self, config: VaeGanLiveConfig, context: Context) -> None:
        super().__init__(config, context)
        voices, synthesis = base.family(VOICES), base.family(SYNTHESIS)
        self.voices = voices(voices.Config(**config.networks), context).requires_grad_(False)
        self.synthesis = synthesis(synthesis.Config(**config.sound), context).requires_grad_(False)
        size = len(self._voices.path(context.roles[0], 0).flat) + 1
        self.register_buffer("measured", torch.zeros(len(context.roles), size))

    @property
    def _voices(self) -> Voices:
        return cast(Voices, self.voices)

    @classmethod
    def reads(cls, config: VaeGanLiveConfig) -> tuple[str, ...]:
        """Sound, which is analysed as it comes."""
        return ("wave",)

    @classmethod
    def learns(cls, config: VaeGanLiveConfig) -> tuple[str, ...]:
        """Mels, which the statistics are of."""
        return ("mel",)

    @classmethod
    def writes(cls, config: VaeGanLiveConfig) -> tuple[str, ...]:
        """Sound."""
        return ("wave",)

    @classmethod
    def builds_on(cls, config: VaeGanLiveConfig) -> dict[str, str]:
        """Name the experiments of the networks and of the vocoder."""
        return {"voices": config.voices, "synthesis": config.synthesis}

    @classmethod
    def dataset(
        cls,
        config: VaeGanLiveConfig,
        context: Context,
        sets: Mapping[str, FeatureSet],
        batch_size: int,
        seed: int,
    ) -> Recordings:
        """Take all recordings of every role."""
        return Recordings(sets, cls.learns(config))

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """Nothing is learnt."""
        return {}

    def setup(self, batch: Mapping[str, Iterable[Features]]) -> None:
        """Measure every role."""
        for index, role in enumerate(self.context.roles):
            mels = (np.asarray(one["mel"]) for one in islice(batch[role], MOST_RECORDINGS))
            self.measured[index].copy_(self._voices.statistics(mels))

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        """Convert one utterance as the stream does; see `base.System.convert`."""
        return base.stream_convert(self, source, condition, to)

    def controls(self, condition: Condition, to: str | None) -> dict[str, np.ndarray]:
        """Return who speaks: `source` (1, S) and `pitch` (1, 3); and whom it becomes: `target`.

        Raises:
            ConfigError: the option `speaker` names no role.
        """
        roles = self.context.roles
        assert to is not None
        speaker = getattr(condition.options, "speaker", "")
        if speaker and speaker not in roles:
            raise ConfigError(
                f"--speaker {speaker}: no such voice{suggest(speaker, roles)}; expected one of "
                f"{', '.join(roles)}, or nothing for their mean"
            )
        who = [speaker] if speaker else list(roles)
        places = [roles.index(one) for one in who]
        pitch = np.mean([self._voices.moving(one, to) for one in who], axis=0)
        target = np.zeros((1, len(roles)), np.float32)
        target[0, roles.index(to)] = 1.0
        return {
            "source": self.measured[places].mean(dim=0, keepdim=True).cpu().numpy(),
            "pitch": pitch[None].astype(np.float32),
            "target": target,
        }

    def streamable(self) -> Live:
        """Return the networks as a stream; its default target is the last role."""
        roles = self.context.roles
        controls = self.controls(Condition(), roles[-1])
        network = self.synthesis.generator
        assert isinstance(network, CausalNetwork)
        return Live(
            lambda delay: [self._voices.path(role, delay) for role in roles],
            network,
            {name: torch.tensor(one) for name, one in controls.items()},
        )

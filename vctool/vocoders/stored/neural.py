"""Base class of neural vocoders: a network, and the mel that it was trained on."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from vctool.config import Config, build
from vctool.features.settings import FeatureConfig
from vctool.vocoders.stored import agreement, restoring


class NeuralVocoder:
    """A trained network as a vocoder: log-mel to wave.

    A subclass sets the class attributes and implements `_sound`, which runs the network.

    Args:
        network: the network, with its weights.
    """

    name: ClassVar[str]
    """What the vocoder is called in messages."""
    settings: ClassVar[type[Config]]
    """Settings of the network."""
    build_network: ClassVar[Any]
    """The network's class: `(settings, features)`."""
    from_elsewhere: ClassVar[bool] = False
    """Whether others publish such networks, so that settings and weights may not match. They are
    compared on the meta device before memory is allocated, so building must not compute values."""

    reads: tuple[str, ...] = ("mel",)
    """The kinds of features that it turns into sound."""

    def __init__(self, network: Any) -> None:
        self.network = network.eval().requires_grad_(False)
        self.features: FeatureConfig | None = network.features

    @classmethod
    def restore(
        cls, config: Mapping[str, Any], features: FeatureConfig, weights: Mapping[str, Tensor]
    ) -> Self:
        """Build the network; see `vocoders.Restorable`."""
        own = {name: config[name] for name in config if name in cls.settings.model_fields}
        settings = build(cls.settings, own, cls.name)
        if cls.from_elsewhere:
            with torch.device("meta"):  # settings of another network could need any memory
                restoring.require_fit(cls.build_network(settings, features), weights)
        network = cls.build_network(settings, features)
        restoring.fill(network, weights)
        return cls(network)

    def accepts(self, config: FeatureConfig, kinds: Sequence[str]) -> None:
        """Refuse features that it was not trained on.

        Raises:
            ConfigError: there is no `mel`, or one of other settings; every difference is named.
        """
        agreement.require_kind(self.name, self.reads[0], kinds)
        agreement.require_same(self.name, self.network.features, config)

    def synthesise(
        self, features: Mapping[str, np.ndarray], config: FeatureConfig, samples: int
    ) -> np.ndarray:
        """Turn `features["mel"]`, (F, n_mels) [dB], into a wave (samples,) float32."""
        wave = self._sound(features)[config.hop_length // 2 :][:samples]
        return np.pad(wave, (0, samples - len(wave)))

    def _sound(self, features: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return float32 sound that begins half a hop before the first frame's centre."""
        raise NotImplementedError

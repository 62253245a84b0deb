"""Builds vocoders from settings and tensors, independently of the file format."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from vctool.errors import ConfigError
from vctool.features.settings import FeatureConfig
from vctool.vocoders import Restorable, Vocoder, names, vocoder_class


class Parts(NamedTuple):
    """All that a vocoder with weights is made of, whatever file it came from."""

    name: str
    """The vocoder."""
    config: Mapping[str, Any]
    """Settings of its network."""
    features: FeatureConfig
    """What it was trained on."""
    weights: dict[str, Tensor]


def trainable() -> list[str]:
    """Name the vocoders that have weights."""
    return [name for name in names() if hasattr(vocoder_class(name), "restore")]


def restore(
    name: str,
    config: Mapping[str, Any],
    features: FeatureConfig,
    weights: Mapping[str, Tensor],
) -> Vocoder:
    """Build a vocoder with weights; the arguments are those of `Restorable.restore`.

    Raises:
        ConfigError: there is no such vocoder, or its settings or weights do not fit it.
    """
    if name not in trainable():
        raise ConfigError(f"no vocoder '{name}' that has weights; update vctool")
    kind: type[Restorable] = vocoder_class(name)
    return kind.restore(config, features, weights)


def fill(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights of any precision into a network; names and shapes must match.

    Raises:
        ConfigError: names or shapes differ; the first few are named.
    """
    require_fit(network, weights)
    own = network.state_dict()
    network.load_state_dict({name: weights[name].to(own[name].dtype) for name in own})


def require_fit(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Check that weights fit a network on any device, the meta device included.

    Raises:
        ConfigError: names or shapes differ; the first few are named.
    """
    own = network.state_dict()
    wrong = [f"{name} missing" for name in own if name not in weights]
    wrong += [f"{name} unknown" for name in weights if name not in own]
    wrong += [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in weights and weights[name].shape != own[name].shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ConfigError(f"the weights do not fit this network: {'; '.join(wrong[:3])}{more}")

"""Vocoders restored from experiments: `exp/vcc2016_istft`, or one of its checkpoints."""

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from vctool import checkpoints
from vctool.config import build
from vctool.errors import ConfigError
from vctool.features.settings import FeatureConfig
from vctool.vocoders.stored import restoring

PREFIX = "generator."
"""Prefix under which vocoder families store the generator's tensors."""


def weights(path: Path) -> Path:
    """Return the file of the latest weights.

    Raises:
        CheckpointError: there are none, or they are half written.
    """
    return checkpoints.find(path) / checkpoints.MODEL


class Stored(NamedTuple):
    """The vocoder in a checkpoint of a vocoder family."""

    folder: Path
    """The checkpoint."""
    name: str
    """The vocoder: the family's name."""
    features: FeatureConfig
    """What it was trained on."""
    network: dict[str, Tensor]
    """The generator's weights alone, without those of discriminators."""
    state: checkpoints.State
    """Everything else: config, recipe, steps."""


def read(path: Path) -> Stored:
    """Read the latest checkpoint of an experiment, or one checkpoint.

    Args:
        path: an experiment, its `checkpoints` folder, or one checkpoint.

    Raises:
        CheckpointError: there is none, or it is half written.
        ConfigError: the model trained there is not a vocoder.
    """
    folder = checkpoints.find(path)
    state = _state(folder, path)
    stored = checkpoints.read_tensors(folder / checkpoints.MODEL)
    network = {
        name.removeprefix(PREFIX): tensor
        for name, tensor in stored.items()
        if name.startswith(PREFIX)
    }
    return Stored(folder, state["family"], _features(state, folder), network, state)


def told(path: Path) -> tuple[str, FeatureConfig]:
    """Read which vocoder an experiment or checkpoint holds, and what it was trained on.

    No weights are read; errors as in `read`.
    """
    folder = checkpoints.find(path)
    state = _state(folder, path)
    return state["family"], _features(state, folder)


def _state(folder: Path, path: Path) -> checkpoints.State:
    state = checkpoints.read_state(folder)
    if state["family"] not in restoring.trainable():
        raise ConfigError(
            f"vocoder: {path} holds a model of the family {state['family']}, which is not "
            f"a vocoder; name an experiment of {' or '.join(restoring.trainable())}"
        )
    return state


def _features(state: checkpoints.State, folder: Path) -> FeatureConfig:
    return build(FeatureConfig, state["context"].get("features"), f"{folder} features")


def parts(folder: Path) -> restoring.Parts:
    """Read the vocoder of an experiment or of one checkpoint; errors as in `read`."""
    found = read(folder)
    return restoring.Parts(found.name, found.state["config"], found.features, found.network)

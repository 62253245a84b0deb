"""Vocoders out of experiments: `exp/vcc2016_istft`, or one of its checkpoints."""

from pathlib import Path

from vctool import checkpoints
from vctool.config import build
from vctool.errors import CheckpointError, ConfigError
from vctool.features.settings import FeatureConfig
from vctool.vocoders import Vocoder
from vctool.vocoders.stored import restoring

PREFIX = "generator."
"""Under this, families of vocoders keep the network that makes sound."""


def weights(path: Path) -> Path:
    """Return the file of the latest weights.

    Raises:
        CheckpointError: there are none, or they are half written.
    """
    return checkpoints.find(path) / checkpoints.MODEL


def load(path: Path) -> Vocoder:
    """Restore a vocoder from the latest checkpoint of an experiment, or from one checkpoint.

    Args:
        path: an experiment, its `checkpoints` folder, or one checkpoint.

    Raises:
        CheckpointError: there is none, it is half written, or it does not fit the network.
        ConfigError: what is trained there is no vocoder.
    """
    folder = checkpoints.find(path)
    state = checkpoints.read_state(folder)
    if state["family"] not in restoring.trainable():
        raise ConfigError(
            f"vocoder: {path} holds a model of the family {state['family']}, which turns no "
            f"features into sound; name an experiment of {' or '.join(restoring.trainable())}"
        )
    stored = checkpoints.read_tensors(folder / checkpoints.MODEL)
    network = {
        name.removeprefix(PREFIX): tensor
        for name, tensor in stored.items()
        if name.startswith(PREFIX)
    }
    try:
        features = build(FeatureConfig, state["context"]["features"], f"{folder} features")
        return restoring.restore(state["family"], state["config"], features, network)
    except ConfigError as error:
        raise CheckpointError(f"{folder}: {error}; train it again with --fresh") from None

"""Vocoders: features to waveforms. Every vocoder in this package is found by its file name.

A vocoder is a file here, or a folder with a `vocoder.py` and its parts. Its class `Vocoder` is made
without arguments, or, where it has weights, restored from them (`Restorable`): from an experiment
of the family of the same name, from a published generator, or from the weights that come with the
project. `get` takes the vocoder's name or a path to weights.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vctool.config import suggest
from vctool.errors import ConfigError
from vctool.features.settings import FeatureConfig

if TYPE_CHECKING:  # listing the vocoders must not load what they run on
    import numpy as np
    from torch import Tensor


class Vocoder(Protocol):
    """What every `vctool/vocoders/NAME.py` has to offer in its class `Vocoder`."""

    reads: tuple[str, ...]
    """Kinds of features that it needs. A model must write the first, which is turned into sound.
    Others that a model does not write are taken from the source (`given`)."""
    features: FeatureConfig | None
    """The features that its weights were trained on; None where it has no weights."""

    def accepts(self, config: FeatureConfig, kinds: Sequence[str]) -> None:
        """Raise a one-line ConfigError unless it can turn what a model writes into sound."""

    def synthesise(
        self, features: "Mapping[str, np.ndarray]", config: FeatureConfig, samples: int
    ) -> "np.ndarray":
        """Turn features of the kinds in `reads`, each (F, D), into a wave (samples,) float32.

        The wave need not be clipped. Features of other kinds may be passed too.
        """


class Restorable(Protocol):
    """What a class `Vocoder` with weights offers in addition."""

    @classmethod
    def restore(
        cls, config: Mapping[str, Any], features: FeatureConfig, weights: "Mapping[str, Tensor]"
    ) -> Vocoder:
        """Build the network, ready to synthesise.

        Args:
            config: settings of the family of the same name, as a checkpoint holds them.
            features: settings of the features that it was trained on.
            weights: the network's tensors by name: those that the family of the same name keeps
                as `generator`, without this prefix.

        Raises:
            ConfigError: settings that the network does not have, or weights that do not fit it.
        """


def names() -> list[str]:
    """Name the vocoders: the files of this package, and its folders that hold a `vocoder.py`."""
    here = [Path(folder) for folder in __path__]
    files = (path.stem for one in here for path in one.glob("*.py") if path.stem != "__init__")
    return sorted(
        [*files, *(path.parent.name for one in here for path in one.glob("*/vocoder.py"))]
    )


def vocoder_class(name: str) -> Any:
    """Import the class `Vocoder` of a name."""
    folder = any((Path(one) / name / "vocoder.py").is_file() for one in __path__)
    return importlib.import_module(f"vctool.vocoders.{name}{'.vocoder' * folder}").Vocoder


def get(name: str, features: FeatureConfig | None = None) -> Vocoder:
    """Return a vocoder.

    Args:
        name: a file's name; or a path: an experiment, one of its checkpoints, weights that
            `vctool package-vocoder` wrote, or a published generator with its `config.json` beside.
        features: chooses among the weights that come with the project; any where None.

    Raises:
        ConfigError: there is no such vocoder (the nearest name is suggested), or no weights for it
            that fit these features.
        CheckpointError: the path holds no weights, or not all of them.
    """
    require(name)
    if name not in names():
        from vctool.vocoders.stored import load

        return load(Path(name))
    vocoder = vocoder_class(name)
    if not hasattr(vocoder, "restore"):
        plain: Vocoder = vocoder()
        return plain
    from vctool.vocoders.stored import load_kept

    return load_kept(name, features)


def require(name: str) -> None:
    """Refuse a name that no vocoder and no file has, before any model is loaded.

    Raises:
        ConfigError: there is no such vocoder (the nearest name is suggested).
    """
    if name not in names() and "/" not in name and not Path(name).exists():
        raise ConfigError(
            f"vocoder: no vocoder '{name}'{suggest(name, names())}; or the path of a trained "
            "one, such as exp/NAME"
        )


def reads(name: str) -> tuple[str, ...]:
    """Name the kinds that a vocoder needs; weights are only read where a path is given.

    Raises:
        ConfigError, CheckpointError: as `get` does.
    """
    kinds: tuple[str, ...] = vocoder_class(name).reads if name in names() else get(name).reads
    return kinds


def of_source(needed: Sequence[str], written: Sequence[str]) -> tuple[str, ...]:
    """Name the kinds that a vocoder needs and a model does not write: taken from the source.

    >>> of_source(("mel", "wave"), ("mel", "pitch"))
    ('wave',)
    """
    return tuple(kind for kind in needed if kind not in written)


def given(
    vocoder: Vocoder, written: "Mapping[str, np.ndarray]", source: "Mapping[str, np.ndarray]"
) -> "dict[str, np.ndarray]":
    """Add the source features that the vocoder needs to those that a model wrote.

    Args:
        vocoder: the vocoder.
        written: features by kind, each (F, D).
        source: features of the source by kind, with the same number of frames, (F, D) too.
    """
    return {**written, **{kind: source[kind] for kind in of_source(vocoder.reads, list(written))}}


def absolute(name: str) -> str:
    """Return a vocoder's name, or its absolute path, which holds in any working folder."""
    return name if name in names() else str(Path(name).absolute())


def files(name: str, features: FeatureConfig | None = None) -> dict[str, Path]:
    """Return the files that a vocoder is restored from: `weights`, and `settings` beside them.

    Raises:
        ConfigError, CheckpointError: as `get` does.
    """
    if name in names() and not hasattr(vocoder_class(name), "restore"):
        return {}
    from vctool.vocoders.stored import find_kept, find_weights, settings_of

    found = {"weights": find_kept(name, features) if name in names() else find_weights(Path(name))}
    settings = settings_of(found["weights"])
    return found if settings is None else found | {"settings": settings}

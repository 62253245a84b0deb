"""Unpaired conversion of voice, singing and timbre, from recordings to a scored result."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vctool.inference.converter import Converter

__version__ = "0.1.0"


def load(path: Path | str, device: str = "auto", vocoder: str | None = None) -> "Converter":
    """Load a trained model, ready to convert: `vctool.load("exp/mini").convert(wave, rate)`.

    As in every command, OpenMP's threads wait asleep rather than spin (see `vctool.openmp`); this
    has no effect if torch was imported before.

    Args:
        path: an experiment `exp/<name>` (its latest checkpoint, or its best with
            `train.converts: best`), one checkpoint folder, a pack (`NAME.vctool`), or the name of
            a model in `exp/`, in `$VCTOOL_MODELS` or of vctool.
        device: `auto`, `cpu`, `cuda`, or `cuda:N`.
        vocoder: a name, or the path of a trained one, in place of that of the model's recipe.

    Raises:
        CheckpointError: there is no checkpoint, or it is half written, or its family or config has
            changed.
        ConfigError: the vocoder cannot take the model's features.
    """
    from vctool.openmp import wait_asleep

    wait_asleep()
    from vctool.inference.converter import Converter

    return Converter(path, device, vocoder)

"""Checks of what a model made, and its transposition where the model leaves that to others."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vctool.errors import CheckpointError
from vctool.features import world
from vctool.features.base import Features
from vctool.features.settings import FeatureConfig


def require(made: Features, source: Features, writes: Sequence[str], model: Path) -> None:
    """See that features are of the kinds promised, as long as their source, and finite.

    Raises:
        CheckpointError: the model gave NaN or infinity.
    """
    assert set(made) == set(writes), (sorted(made), writes)
    frames = {kind: len(values) for kind, values in {**source, **made}.items()}
    assert len(set(frames.values())) == 1, f"conversion changed the length: {frames}"
    for kind, values in made.items():
        if not np.isfinite(values).all():
            raise CheckpointError(
                f"{model}: gives NaN or infinity in {kind}; train on, or use an earlier "
                "checkpoint with --model"
            )


def transposed(wave: np.ndarray, semitones: float, config: FeatureConfig) -> np.ndarray:
    """Shift the pitch of a voice (T,) by WORLD, which keeps its formants."""
    if not semitones:
        return wave
    coded = world.analyse(wave, config)
    coded[:, 0] *= 2 ** (semitones / 12)
    return world.synthesise(coded, config, len(wave))


def shifted(values: np.ndarray, column: int, semitones: float) -> np.ndarray:
    """Shift the F0 [Hz] in a column of features (F, D)."""
    moved = values.copy()
    moved[:, column] *= 2 ** (semitones / 12)
    return moved

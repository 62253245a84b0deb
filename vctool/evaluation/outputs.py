"""Read the outputs of stages 4 and 5 that are scored, for any roles."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from vctool import audio
from vctool.data.datadir import DataDir
from vctool.errors import DataError
from vctool.experiment.recipe import Recipe


def held_out(data: DataDir, role: str, recipe: Recipe, converted: int) -> DataDir:
    """Return the recordings of the target role.

    Raises:
        DataError: they, or what was converted, are too few to score.
    """
    found = data.subset(recipe.plays(role))
    if len(found) < 2 or converted < 2:
        raise DataError(
            f"{data.path}: {len(found)} recordings of '{role}' and {converted} converted "
            "utterances are too few to score; hold out at least 2 of each"
        )
    return found


def read_outputs(folder: Path, names: Sequence[str], rate: int) -> list[np.ndarray]:
    """Read what stage 5 wrote for utterances, each (T,).

    Raises:
        DataError: a file is missing.
    """
    require_outputs(folder, names)
    return [audio.read(folder / f"{name}.wav", rate)[0] for name in names]


def require_outputs(folder: Path, names: Sequence[str]) -> None:
    """Check that stage 5 has written all utterances into a folder.

    Raises:
        DataError: a file is missing.
    """
    missing = [name for name in names if not (folder / f"{name}.wav").is_file()]
    if missing:
        raise DataError(
            f"{folder}: {len(missing)} of {len(names)} outputs are missing, such as "
            f"{missing[0]}.wav; run stage 5 (synthesize)"
        )


def digest(ids: object, waves: Iterable[np.ndarray]) -> str:
    """Hash what was scored: 16 hex digits.

    Args:
        ids: identify the recordings; JSON values.
        waves: their samples, each (T,), full scale at 1.
    """
    found = hashlib.sha256(json.dumps(ids).encode())
    for wave in waves:  # 16 bits of it: the last bits of a resampler differ between machines
        found.update(np.rint(wave * 32767.0).astype("<i4").tobytes())
    return found.hexdigest()[:16]

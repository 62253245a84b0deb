"""Choice of the trained model where `vctool convert` is given no `--model`."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vctool.config import build
from vctool.engine import checkpoint, manifest
from vctool.errors import CheckpointError, ConfigError, VctoolError
from vctool.inference import options as own_options
from vctool.inference.converter import Converter
from vctool.inference.target import EVERYONE, is_path
from vctool.models import base

logger = logging.getLogger(__name__)


class Asked(NamedTuple):
    """Requirements on a model, from the command line."""

    wanted: Sequence[str | Path | None]
    """Every `--to`, as given; None for the model's own target."""
    accompanied: bool
    """Whether an accompaniment is given."""
    words: Sequence[str] = ()
    """Arguments as typed: recordings and options of a family."""


def newest(root: Path, asked: Asked, device: str, vocoder: str | None = None) -> Converter:
    """Load the newest experiment that meets the requirements.

    It must take every target, and an accompaniment must be given where its direction needs one.
    Experiments that have a role of the target's name are preferred to those that take recordings
    of that name; where an accompaniment is given, those that use it are preferred. Vocoder
    experiments are skipped. Only the weights of the chosen experiment are read.

    Args:
        root: the folder of all experiments.
        asked: the requirements.
        device: as for `Converter`.
        vocoder: as for `Converter`; experiments whose features it cannot take are skipped.

    Raises:
        CheckpointError: there is no trained model, or none that fits; with the reasons.
    """
    refused: list[str] = []
    found = _trained(root, refused)
    if not found and not refused:
        raise CheckpointError(
            f"{root}/: no trained model; train one with ./run.sh (minutes), or pass --model"
        )
    fitting: list[tuple[int, Path]] = []
    for folder in found:
        experiment = folder.parent.parent
        try:
            rank = _rank(folder, experiment, asked)
        except CheckpointError as error:
            _pass_over(experiment, error, refused)
        except ConfigError as error:
            refused.append(str(error))
        else:
            fitting.append((rank, experiment))
    for _, experiment in sorted(fitting, key=lambda one: one[0]):
        try:
            return Converter(experiment, device, vocoder)
        except (CheckpointError, ConfigError) as error:
            _pass_over(experiment, error, refused)
    raise CheckpointError(f"no trained model accepts these inputs: {'; '.join(refused)}")


def _trained(root: Path, refused: list[str]) -> list[Path]:
    """Return the latest checkpoint of every experiment, the newest first, then by name."""
    found = []
    for checkpoints in root.glob("*/checkpoints"):
        try:
            folder = manifest.latest(checkpoints)
        except CheckpointError as error:
            _pass_over(checkpoints.parent, error, refused)
            continue
        if folder is not None:
            found.append(folder)
    age = {folder: (folder / manifest.STATE).stat().st_mtime_ns for folder in found}
    return sorted(found, key=lambda folder: (-age[folder], folder))


def _rank(folder: Path, experiment: Path, asked: Asked) -> int:
    """Return how well a model fits the requirements; 0 is best. Its weights are not read.

    Raises:
        ConfigError: it does not meet the requirements.
        CheckpointError: it cannot be loaded.
    """
    from vctool.vocoders.stored import restoring

    state = checkpoint.read_state(folder)
    if state["family"] in restoring.trainable():  # it would give the recording back
        raise ConfigError(f"{experiment} is a vocoder, for --vocoder")
    roles = _roles(state, folder)
    try:
        system = base.family(state["family"])
        config = build(system.Config, state["config"], f"{folder / manifest.STATE} config")
    except ConfigError as error:
        raise CheckpointError(f"{error}; train again with --fresh") from None
    own_options.split(asked.words, system.Options, experiment)
    by_name, directions = 0, list[str | None]()
    for one in asked.wanted:
        if one == EVERYONE and EVERYONE not in roles:
            directions += roles
        elif one is None or one in roles:
            directions.append(roles[-1] if one is None else str(one))
        elif system.takes_reference and (is_path(one) or Path(one).exists()):
            directions.append(None)
            by_name = max(by_name, 0 if is_path(one) else 2)
        else:
            what = "" if system.takes_reference or not Path(one).exists() else ", not to recordings"
            told = f"{experiment} converts to {' or '.join(roles)}{what}"
            raise ConfigError(f"--to {one}: {told}")
    needing = [to for to in directions if system.needs_accompaniment(config, to)]
    if needing and not asked.accompanied:
        what = needing[0] or "recordings"
        raise ConfigError(f"{experiment} needs --accomp FILE to convert to {what}")
    return by_name + (asked.accompanied and not needing)


def _roles(state: dict[str, Any], folder: Path) -> list[str]:
    """Return which roles a checkpoint converts to."""
    context = state["context"]
    roles = context.get("roles") if isinstance(context, dict) else None
    if not isinstance(roles, list) or not roles:
        raise CheckpointError(f"{folder / manifest.STATE}: names no roles to convert to")
    return roles


def _pass_over(experiment: Path, error: VctoolError, refused: list[str]) -> None:
    logger.warning("skipped: %s", error)
    refused.append(f"{experiment} cannot be loaded")

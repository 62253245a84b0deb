"""Choice of the trained model where `vctool convert` is given no `--model`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from vctool import models, packs
from vctool.config import build, suggest
from vctool.engine import checkpoint, manifest
from vctool.errors import CheckpointError, ConfigError, VctoolError
from vctool.experiment import places
from vctool.inference import options as own_options
from vctool.inference import untrained
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


class Candidate(NamedTuple):
    """A trained model that can be asked for, known by all but its weights."""

    path: Path
    """The experiment or checkpoint, as it was named."""
    family: str
    roles: tuple[str, ...]
    system: type[base.System]
    recipe: dict[str, Any]
    """The resolved recipe that it was trained with."""


@dataclass
class Candidates:
    """Models that meet the requirements, the best first, and why the others do not."""

    fitting: list[Candidate]
    refused: list[str] = field(default_factory=list)
    """A reason for each model that cannot be taken, in one line."""
    instead: str = ""
    """Why a newer model is not the first; empty where none is newer."""


def named(path: Path) -> Candidates:
    """Describe the model that a user names, by its path or name (`places.locate`).

    Raises:
        CheckpointError: it is missing or half written, or its family has changed.
    """
    path = places.locate(path)
    if untrained.is_one(path):
        return Candidates([_untrained(str(path))])
    return Candidates([_described(manifest.find(path), path)[0]])


def fitting(root: Path, asked: Asked) -> Candidates:
    """Find the experiments that meet the requirements; no weights are read.

    They must take every target, and an accompaniment must be given where their direction needs one.
    Experiments that have a role of the target's name are preferred to those that take recordings
    of that name; where an accompaniment is given, those that use it are preferred; then the newest.
    Vocoder experiments are skipped. Where no experiment takes recordings that are wanted as
    targets, or those alone that have no other targets, a model that needs no training does.

    Args:
        root: the folder of all experiments.
        asked: the requirements.

    Raises:
        ConfigError: no model has a role of a target's name.
        CheckpointError: there is no trained model, or none that fits; with the reasons.
    """
    refused: list[str] = []
    found = _trained(root, asked, refused)
    ready = _ready(asked)
    if not found and not refused and not ready:
        named = [str(one) for one in asked.wanted if one not in (None, EVERYONE)]
        lost = next((one for one in named if not Path(one).exists()), None)
        told = f" and --to {lost}: no such file or folder" if lost is not None else ""
        if EVERYONE in asked.wanted:
            told = f", whose voices --to {EVERYONE} would be"
        raise CheckpointError(
            f"{root.absolute()}: no trained model{told}; go to the folder that holds your "
            f"{root.name}/, train one with ./run.sh (minutes), or pass --model; --to and "
            "recordings of a voice, as in --to anna/ --to ben/, need no training"
        )
    ranked: list[tuple[int, int, Candidate]] = []
    strangers: list[tuple[str, Candidate]] = []
    lacking: list[tuple[int, Candidate, str]] = []
    for age, (folder, experiment) in enumerate(found):
        try:
            candidate, config = _described(folder, experiment)
            ranked.append((_rank(candidate, config, asked), age, candidate))
        except _Stranger as error:
            refused.append(str(error))
            strangers.append((error.wanted, candidate))
        except _NeedsAccompaniment as error:
            refused.append(str(error))
            lacking.append((age, candidate, str(error)))
        except CheckpointError as error:
            _pass_over(experiment, error, refused)
        except ConfigError as error:
            refused.append(str(error))
    others = [one for one in ranked if not one[2].system.only_references]
    if ready and not others:  # what plays instruments is no surprise to who names it alone
        return Candidates(ready, refused)
    ranked = others or ranked
    if not ranked:
        _require_known(strangers, root)
        raise CheckpointError(f"no trained model accepts these inputs: {_few(refused)}")
    ranked.sort(key=lambda one: one[:2])
    _, age, best = ranked[0]
    newer = [
        told for place, one, told in lacking if place < age and one.family != best.family
    ]  # of another kind, so the result would surprise
    instead = f"{newer[0]}; {best.path} ({best.family}) is taken instead" if newer else ""
    return Candidates([one for _, _, one in ranked], refused, instead)


def streaming(root: Path, to: str | None) -> Path:
    """Find the best experiment that runs in real time, as `fitting` ranks them.

    Args:
        root: the folder of all experiments.
        to: the target, as asked for; the model's own where None.

    Raises:
        ConfigError, CheckpointError: as of `fitting`; or none that fits runs in real time.
    """
    found = fitting(root, Asked((to,), accompanied=False))
    for one in found.fitting:
        if one.system.streamable is not base.System.streamable:
            return one.path
    told = [f"{one.path} ({one.family}): {one.system.not_real_time}" for one in found.fitting]
    raise CheckpointError(
        f"no model here runs in real time: {_few(told)}; pass --double, or train one that does, as "
        "./run.sh --recipe ravdess_speaker_autoencoder"
    )


def load(
    found: Candidates, device: str, vocoder: str | None = None, rate: int | None = None
) -> Converter:
    """Load the first model that can be loaded.

    Args:
        found: the models, the best first.
        rate: as for `Converter`.
        device: as for `Converter`.
        vocoder: as for `Converter`; experiments whose features it cannot take are skipped.

    Raises:
        CheckpointError, ConfigError: none can be; of a single one, its own reason.
    """
    for one in found.fitting:
        try:
            return Converter(one.path, device, vocoder, rate)
        except (CheckpointError, ConfigError) as error:
            if len(found.fitting) == 1 and not found.refused:
                raise
            _pass_over(one.path, error, found.refused)
    raise CheckpointError(f"no trained model accepts these inputs: {_few(found.refused)}")


class _Stranger(ConfigError):
    """A model has no role of the name that is asked for."""

    def __init__(self, wanted: str, message: str) -> None:
        super().__init__(message)
        self.wanted = wanted


class _NeedsAccompaniment(ConfigError):
    """A model would fit if an accompaniment were given."""


def _require_known(strangers: Sequence[tuple[str, Candidate]], root: Path) -> None:
    """Refuse a role that no model has in one line, where there are several models.

    Raises:
        ConfigError: all that could not be taken for a role's sake lack the same one.
    """
    if len(strangers) < 2 or len({wanted for wanted, _ in strangers}) > 1:
        return
    wanted = strangers[0][0]
    roles = sorted({role for _, one in strangers for role in one.roles})
    raise ConfigError(
        f"--to {wanted}: none of the {len(strangers)} models in {root}/ converts to it"
        f"{suggest(wanted, roles)}; they convert to {_few(roles, 12, ', ')}"
    )


def _few(told: Sequence[str], most: int = 3, between: str = "; ") -> str:
    """Join the first few, and count the others."""
    more = f"{between}and {len(told) - most} more" if len(told) > most else ""
    return between.join(told[:most]) + more


def _trained(root: Path, asked: Asked, refused: list[str]) -> list[tuple[Path, Path]]:
    """Return the checkpoint of every experiment that converts, and every pack, the newest first.

    Those that come with vctool are last, and only where they turn anyone into the voices that are
    named: its `mini` was made of synthetic voices, and is for demonstration.

    Returns:
        For each its checkpoint or pack, and the path that it is named by.
    """
    own, last = [], []
    for one in places.found(root):
        try:
            pack = packs.is_pack(one.path)
            folder = one.path if pack else manifest.converting(one.path / "checkpoints")
            if folder is None:
                continue
            if one.place != "vctool":
                own.append((folder, one.path))
            elif _turns_anyone(packs.read_header(one.path).state, asked):
                last.append((folder, one.path))
        except CheckpointError as error:
            _pass_over(one.path, error, refused)
    age = {folder: _marked(folder).stat().st_mtime_ns for folder, _ in own}
    return [*sorted(own, key=lambda one: (-age[one[0]], one[0])), *last]


def _turns_anyone(state: dict[str, Any], asked: Asked) -> bool:
    """Tell whether a model turns anyone into each of the roles that are asked for by name."""
    ready = models.declared(state["family"]).untrained
    return ready and set(asked.wanted) <= set(state["context"].get("roles", ()))


def _marked(folder: Path) -> Path:
    """Return the file whose time is a checkpoint's or a pack's."""
    return folder if packs.is_pack(folder) else folder / manifest.STATE


def _ready(asked: Asked) -> list[Candidate]:
    """Return the models that need no training, if all targets are recordings."""
    wanted = [one for one in asked.wanted if one is not None]
    given = [is_path(one) or Path(one).exists() for one in wanted]
    return [_untrained(name) for name in untrained.names()] if given and all(given) else []


def _untrained(name: str) -> Candidate:
    return Candidate(Path(name), name, (), base.family(name), {})


def _described(folder: Path, path: Path) -> tuple[Candidate, Any]:
    """Read what is known of a model besides its weights, and its family's config.

    Args:
        folder: the checkpoint.
        path: how the model is named.

    Raises:
        CheckpointError: it cannot be loaded.
    """
    state = checkpoint.read_state(folder)
    try:
        system = base.family(state["family"])
        config = build(system.Config, state["config"], f"{_marked(folder)} config")
    except ConfigError as error:
        if packs.is_pack(folder):
            raise CheckpointError(f"{folder}: {error}; update vctool") from None
        raise CheckpointError(f"{error}; train again with --fresh") from None
    roles = _roles(state, folder, system)
    return Candidate(path, state["family"], tuple(roles), system, state["recipe"]), config


def _rank(one: Candidate, config: Any, asked: Asked) -> int:
    """Return how well a model fits the requirements; 0 is best.

    Raises:
        ConfigError: it does not meet the requirements.
    """
    from vctool.vocoders.stored import restoring

    if one.family in restoring.trainable():  # it would give the recording back
        raise ConfigError(f"{one.path} is a vocoder, for --vocoder")
    system, roles = one.system, one.roles
    own_options.split(asked.words, system.Options, one.path)
    by_name, directions = 0, list[str | None]()
    for wanted in asked.wanted:
        if wanted == EVERYONE and EVERYONE not in roles:
            directions += roles
        elif wanted is None and not roles:
            raise ConfigError(f"{one.path} needs a target: pass --to and a recording")
        elif wanted is None or wanted in roles:
            directions.append(roles[-1] if wanted is None else str(wanted))
        elif system.takes_reference and (is_path(wanted) or Path(wanted).exists()):
            directions.append(None)
            by_name = max(by_name, 0 if is_path(wanted) else 2)
        else:
            exists = Path(wanted).exists()
            what = ", not to recordings" if exists and not system.takes_reference else ""
            hint = "" if exists else suggest(str(wanted), roles)
            known = " or ".join(roles) or "recordings alone"
            told = f"--to {wanted}: {one.path} converts to {known}{what}{hint}"
            raise ConfigError(told) if exists else _Stranger(str(wanted), told)
    needing = [to for to in directions if system.needs_accompaniment(config, to)]
    if needing and not asked.accompanied:
        what = needing[0] or "recordings"
        raise _NeedsAccompaniment(f"{one.path} needs --accomp FILE to convert to {what}")
    return by_name + (asked.accompanied and not needing)


def _roles(state: dict[str, Any], folder: Path, system: type[base.System]) -> list[str]:
    """Return which roles a checkpoint converts to; none where it takes recordings alone."""
    roles = state["context"].get("roles")
    if not isinstance(roles, list) or not (roles or system.only_references):
        raise CheckpointError(f"{folder / manifest.STATE}: names no roles to convert to")
    return roles


def _pass_over(experiment: Path, error: VctoolError, refused: list[str]) -> None:
    logger.warning("skipped: %s", error)
    refused.append(f"{experiment} cannot be loaded")

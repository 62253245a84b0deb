"""`vctool models`: every model on this machine, and what is known of it besides its weights.

What is listed is read from headers and from JSON, so it takes a moment, and no torch. Whether a
model loads is told from the same: its files are complete, and this vctool has its family, its
settings, its features and its vocoder. Whether the weights themselves are damaged is not.
"""

import importlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vctool import checkpoints, config, models, packs, vocoders
from vctool.config import build, read_yaml
from vctool.errors import CheckpointError, ConfigError, VctoolError
from vctool.experiment import places, terms
from vctool.features import base as kinds
from vctool.features.settings import FeatureConfig

ANYONE = "anyone"
"""What a model converts from if it takes any voice."""
RECORDINGS = "recordings"
"""What it converts to if recordings of a voice may be its target."""
BEATEN = "the formula to beat"
"""How a results.json describes the baseline that a model should surpass."""
MODEL, COPY = "model", "copy"
"""Rows of a results.json."""


@dataclass(frozen=True)
class Score:
    """A model's headline score, of stage 6: the first measure on which it has a way to go."""

    measure: str
    value: float
    low: float
    high: float
    """With the 95 % interval."""
    copy: float | None
    """The unconverted source's."""
    formula: float | None
    """The best formula's without learning."""
    formula_name: str | None
    gap: float | None
    """Share of the way from the unconverted source to real recordings."""
    gap_low: float | None
    gap_high: float | None


@dataclass(frozen=True)
class Model:
    """A model, known by all but its weights."""

    id: str
    """What `--model` takes."""
    path: str
    place: str
    """Where it lies: `experiments`, `VCTOOL_MODELS` or `vctool`."""
    kind: str
    """`conversion`, or `vocoder`, which is for `--vocoder`."""
    family: str = ""
    source: tuple[str, ...] = ()
    """Whom it converts: its roles, or `ANYONE`."""
    target: tuple[str, ...] = ()
    """To whom: its roles, and `RECORDINGS` where it takes them; its default is the last role."""
    rate: int | None = None
    """Of its output [Hz]; None where that follows the recordings."""
    step: int = 0
    score: Score | None = None
    data: tuple[str, ...] = ()
    """What it was trained on, a line for each corpus."""
    licence: str = ""
    """Of what it was trained on, the licences with commas."""
    non_commercial: bool = False
    size: int = 0
    """Of the weights that converting reads [bytes]."""
    modified: float | None = None
    """When it was trained or packed [s since 1970]."""
    loads: bool = True
    problem: str = ""
    """Why it does not load, in a line."""

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        found = asdict(self)
        found["from"], found["to"] = list(found.pop("source")), list(found.pop("target"))
        return found | {"data": list(self.data)}


def inventory(root: Path = places.EXPERIMENTS) -> list[Model]:
    """Describe every model in `root`, in `$VCTOOL_MODELS` and of vctool, in this order.

    No weights are read, and torch is not imported.
    """
    listed: list[Model] = []
    taken: set[str] = set(models.names())
    for one in places.found(root):
        name = one.name if one.name not in taken else str(one.path)
        taken.add(one.name)
        described = _pack(one, name) if packs.is_pack(one.path) else _experiment(one, name)
        if described is not None:
            listed.append(described)
    ready = (name for name in models.names() if models.declared(name).untrained)
    return [*listed, *map(_untrained, ready)]


def named(name: str, root: Path = places.EXPERIMENTS) -> Model:
    """Describe one model, by its path or name; see `inventory`.

    Raises:
        CheckpointError: there is no such model.
    """
    path = places.locate(name, root)
    if str(path) in models.names() and not path.exists():
        if not models.declared(str(path)).untrained:
            raise CheckpointError(
                f"{path}: this family has to be trained; vctool models lists models"
            )
        return _untrained(str(path))
    if not path.exists():
        raise CheckpointError(f"{path}: no such model; vctool models lists them")
    one = places.Found(str(path), path, "")
    found = _pack(one, str(path)) if packs.is_pack(path) else _experiment(one, str(path))
    if found is None:
        raise CheckpointError(f"{path}: holds no checkpoint; train with ./run.sh --stage 3")
    return found


def _experiment(one: places.Found, name: str) -> Model | None:
    """Describe an experiment by what converts; None where it holds no checkpoint yet."""
    empty = Model(name, str(one.path), one.place, "conversion")
    try:
        folder = checkpoints.converting(one.path / "checkpoints")
        if folder is None:
            return None
        state = checkpoints.read_state(folder)
    except CheckpointError as error:
        return _broken(empty, error)
    own = vars(empty) | {
        "size": state["files"].get(checkpoints.MODEL, 0),
        "modified": (folder / checkpoints.STATE).stat().st_mtime,
        "score": headline(one.path / "results.json"),
    }
    try:
        known = terms.of_model(folder, state)
    except VctoolError:  # it was made by hand, or what it began with is not here
        known = []
    own |= _of_terms(known)
    return _described(own, state, folder, None)


def _pack(one: places.Found, name: str) -> Model:
    empty = Model(name, str(one.path), one.place, "conversion")
    status = one.path.stat()
    try:
        header = packs.read_header(one.path)
    except CheckpointError as error:
        return _broken(empty, error)
    card = header.card
    own = vars(empty) | {
        "size": status.st_size,
        "modified": status.st_mtime,
        "score": _kept(card.get("headline")),
        "data": tuple(map(str, card["data"])),
        "licence": str(card.get("licence", "")),
    }
    return _described(own, header.state, one.path, header.vocoder)


def _untrained(name: str) -> Model:
    """Describe the model of a family that learns nothing."""
    one = Model(name, name, "vctool", "conversion", name, (ANYONE,), (RECORDINGS,))
    try:
        read_yaml(config.find(Path("conf") / name / "default.yaml"))
    except ConfigError as error:
        return _broken(one, error)
    return replace(one, licence="that of the recordings")


def _broken(one: Model, error: VctoolError) -> Model:
    return replace(one, loads=False, problem=str(error))


def _of_terms(known: list[terms.Terms]) -> dict[str, Any]:
    return {
        "data": tuple(one.line for one in known),
        "licence": ", ".join(dict.fromkeys(one.licence for one in known)),
        "non_commercial": any(one.non_commercial for one in known),
    }


def _described(
    own: dict[str, Any], state: checkpoints.State, where: Path, vocoder: Mapping[str, Any] | None
) -> Model:
    """Add what a state says, and whether this vctool can load it.

    Args:
        own: fields that are known.
        state: of the checkpoint or pack.
        where: the checkpoint or pack.
        vocoder: the one that a pack holds.
    """
    family, context = str(state["family"]), state["context"]
    roles = tuple(map(str, context.get("roles") or ()))
    known = family in models.names()
    own |= {"family": family, "step": state["step"], "source": roles, "target": roles}
    own["kind"] = "vocoder" if family in vocoders.names() else "conversion"
    if known and (models.declared(family).untrained or not roles):
        own["source"] = (ANYONE,)
    if known and models.declared(family).takes_reference:
        own["target"] = (*roles, RECORDINGS)
    try:
        own["rate"] = build(FeatureConfig, context.get("features") or {}, f"{where} features").rate
        _require_loadable(family, state, where, vocoder)
    except VctoolError as error:
        own |= {"loads": False, "problem": str(error)}
    return Model(**own)


def _require_loadable(
    family: str, state: checkpoints.State, where: Path, vocoder: Mapping[str, Any] | None
) -> None:
    """Refuse what this vctool cannot load.

    Raises:
        VctoolError: it has no such family, settings, features, roles or vocoder.
    """
    if family not in models.names():
        raise ConfigError(f"{where}: no family '{family}' in this vctool; update it")
    declared = models.declared(family)
    if not (state["context"].get("roles") or declared.only_references):
        raise CheckpointError(f"{where}: names no roles to convert to")
    for kind in state.get("versions", {}):
        if kind not in kinds.names():
            raise CheckpointError(f"{where}: no features '{kind}' in this vctool; update it")
    if family in vocoders.names():  # whose settings are beside networks, which import torch
        return
    if declared.settings is not None:
        module, name = declared.settings
        kept = getattr(importlib.import_module(module), name)
        build(kept, state["config"], f"{where} config")
    if vocoder is not None:
        vocoders.require(str(vocoder["name"]))
        return
    wanted = str(state["context"].get("vocoder", ""))
    vocoders.require(wanted)
    if wanted not in vocoders.names() and not Path(wanted).exists():
        raise CheckpointError(f"{where}: its vocoder {wanted} is not here; pass --vocoder")


def headline(path: Path) -> Score | None:
    """Read the headline score of an experiment; None where stage 6 has not run or left none.

    It is the first measure of the table on which the unconverted source and real recordings
    differ for certain; where there is none, as of vocoders, the first with a value.

    Args:
        path: a results.json.
    """
    try:
        results = json.loads(path.read_text("utf-8"))
        measures: dict[str, dict[str, Any]] = results["measures"]
        rows = [name for name, row in measures.items() if _number(row, MODEL, "value") is not None]
        told = [name for name in rows if _number(measures[name], MODEL, "gap") is not None]
        if not rows:
            return None
        name = (told or rows)[0]
        systems = results["systems"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    row = measures[name]
    formula = next((one for one in row if str(systems.get(one, "")).endswith(BEATEN)), None)
    own = {key: _number(row, MODEL, key) for key in ("low", "high")}
    value = float(row[MODEL]["value"])
    return Score(
        measure=name.replace("_", " "),
        value=value,
        low=value if own["low"] is None else own["low"],
        high=value if own["high"] is None else own["high"],
        copy=_number(row, COPY, "value"),
        formula=None if formula is None else _number(row, formula, "value"),
        formula_name=formula,
        gap=_number(row, MODEL, "gap"),
        gap_low=_number(row, MODEL, "gap_low"),
        gap_high=_number(row, MODEL, "gap_high"),
    )


def _number(row: Mapping[str, Any], system: str, key: str) -> float | None:
    value = row.get(system, {}).get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _kept(told: Any) -> Score | None:
    """Take the headline of a pack's card, if it is one."""
    fields = set(Score.__dataclass_fields__)
    return Score(**told) if isinstance(told, dict) and set(told) == fields else None


def details(one: Model) -> list[str]:
    """Say all that is known of a model: of a pack, its card."""
    kept = one.size and one.modified is not None
    lines = [
        f"{one.id}: {one.family or 'unknown'}, {one.kind}, step {one.step}",
        f"from {_few(one.source, 100)} to {_few(one.target, 100)}"
        + (f", {one.rate} Hz" if one.rate is not None else ""),
        *([f"weights: {one.size / 1e6:.1f} MB"] if kept else []),
        f"loads: {'yes' if one.loads else 'no: ' + one.problem}",
        *(f"data: {line}" for line in one.data),
        f"licence of the data: {one.licence or 'not known'}",
    ]
    path = Path(one.path)
    if one.loads and packs.is_pack(path):
        card = packs.read_header(path).card
        lines += [f"score: {line}" for line in card["scores"]]
        lines += [f"limit: {line}" for line in card["limits"]]
    elif one.score is not None:
        lines.append(f"score: {_told(one.score)}")
    return lines


HEADS = ("model", "family", "from", "to", "rate", "step", "score", "licence", "MB", "loads")


def rows(listed: list[Model]) -> list[tuple[str, ...]]:
    """Lay models out, a row each with the columns of `HEADS`."""
    return [
        (
            one.id,
            one.family,
            _few(one.source),
            _few(one.target),
            "-" if one.rate is None else str(one.rate),
            str(one.step),
            _told(one.score),
            one.licence or "-",
            f"{one.size / 1e6:.1f}",
            "yes" if one.loads else f"no: {one.problem}",
        )
        for one in listed
    ]


def _few(names: tuple[str, ...], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "-") + more


def _told(score: Score | None) -> str:
    """Say a score in a few words: `distance 13.7 (11.9..15.2), formula 5.94`."""
    if score is None:
        return "-"
    told = f"{score.measure} {score.value:.3g} ({score.low:.3g}..{score.high:.3g})"
    return told if score.formula is None else f"{told}, {score.formula_name} {score.formula:.3g}"

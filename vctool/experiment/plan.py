"""The stages in order: their inputs, their outputs, and which stages they need.

Stage 0, the setup of the environment, belongs to the machine and not to a recipe: it is
`local/setup.sh`. Everything here is a pure function of the recipe and of what lies on disk, so that
`vctool status` can tell what a run would do without doing it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vctool import checkpoints, vocoders
from vctool.config import build, suggest
from vctool.engine.manifest import latest
from vctool.engine.settings import PACE_FIELDS
from vctool.errors import CheckpointError, ConfigError
from vctool.experiment import hashes, losses, written
from vctool.experiment.recipe import Recipe
from vctool.features import base as registry

if TYPE_CHECKING:
    from vctool.models.base import System

Inputs = dict[str, Any]
"""Everything that determines a stage's result: label -> JSON value, or `sha256:...` of content."""

SPLITS = ("train", "dev", "test")
"""The splits of a corpus; some have no dev."""


@dataclass(frozen=True)
class Stage:
    """One numbered step of a recipe."""

    number: int
    """Its number for `--stage`."""
    name: str
    """Its name: a verb of the command line."""
    does: str
    """What it does, in a few words."""
    inputs: Callable[[Recipe], Inputs]
    """What determines its result."""
    outputs: Callable[[Recipe], list[Path]]
    """What exists when it is done."""
    needs: tuple[str, ...] = ()
    """Names of the stages whose outputs it reads."""
    damage: Callable[[Recipe], Iterable[str]] = lambda recipe: ()
    """Reads its results and returns one line for each damaged place."""


def flatten(tree: Any, prefix: str) -> Inputs:
    """Turn nested settings into one label per leaf, such as `train.weights.generator.cycle`.

    >>> flatten({"a": {"b": 1}, "c": [2]}, "x")
    {'x.a.b': 1, 'x.c': [2]}
    """
    if not isinstance(tree, dict):
        return {prefix: tree}
    leaves: Inputs = {}
    for key, value in tree.items():
        leaves |= flatten(value, f"{prefix}.{key}")
    return leaves


def system(recipe: Recipe) -> "type[System]":
    """Return the class of the recipe's family.

    Raises:
        ConfigError: there is no such family.
    """
    from vctool.models.base import family

    try:
        return family(recipe.family)
    except ConfigError as error:
        raise ConfigError(f"{recipe.origin.of('family')}: {error}") from None


def task(recipe: Recipe) -> str:
    """Name the task that stage 6 scores a recipe by: its own choice, or its family's."""
    return recipe.evaluate.task or system(recipe).task


def model_config(recipe: Recipe) -> Any:
    """Validate the recipe's hyper-parameters with its family's own `Config`."""
    return build(system(recipe).Config, recipe.model, recipe.origin.below("model"))


def kinds(recipe: Recipe, split: str | None = None) -> tuple[str, ...]:
    """Name the kinds of features that stage 2 computes for a split: those that are read later.

    Batches are drawn from `train` and `dev`, and samples converted from `dev`. Of the split that is
    scored, stage 4 reads what it converts and what the vocoder takes of the source; stage 4
    analyses accompaniments itself, looped to the length of the output.

    Args:
        recipe: the experiment.
        split: the split; all splits if not given.
    """
    family, config = system(recipe), model_config(recipe)
    found: list[str] = []
    if split in (None, "train", "dev"):
        found += family.learns(config)
    if split in (None, "dev"):
        found += (*family.reads(config), *_vocoder_reads(recipe))
    if split == recipe.evaluate.split:
        found += sources(recipe)
    return tuple(dict.fromkeys(found))


def sources(recipe: Recipe) -> tuple[str, ...]:
    """Name the kinds of a voice that stage 4 reads: for the model, and for the vocoder."""
    read = registry.voice_kinds(system(recipe).reads(model_config(recipe)))
    return tuple(dict.fromkeys((*read, *borrowed(recipe))))


def borrowed(recipe: Recipe) -> tuple[str, ...]:
    """Name the kinds that the vocoder takes from the source, as the model does not write them."""
    written = system(recipe).writes(model_config(recipe))
    return vocoders.of_source(_vocoder_reads(recipe), written)


def _vocoder_reads(recipe: Recipe) -> tuple[str, ...]:
    """Name the kinds that the recipe's vocoder needs; none where there is no such vocoder yet."""
    try:
        return vocoders.reads(recipe.vocoder)
    except (CheckpointError, ConfigError):  # `check` says what to do about it
        return ()


def check(recipe: Recipe) -> None:
    """Check that a recipe's family, its hyper-parameters and its vocoder are compatible.

    Raises:
        ConfigError: no such family, unknown hyper-parameters or loss terms, a kind of features
            that does not exist, or a vocoder that cannot synthesise from what the model writes.
        CheckpointError: the vocoder is a path that holds no weights.
    """
    family, config = system(recipe), model_config(recipe)
    where = f"recipe {recipe.name}: family {recipe.family}"
    for does in ("reads", "learns", "writes"):
        for kind in getattr(family, does)(config):
            plain = registry.plain(kind) if does != "writes" else kind
            if plain not in registry.names():
                raise ConfigError(
                    f"{where}: {does} '{kind}', no such kind of features"
                    f"{suggest(plain, registry.names())}"
                )
    losses.check(recipe)
    try:
        chosen = vocoders.get(recipe.vocoder, recipe.features)
        chosen.accepts(recipe.features, family.writes(config))
    except ConfigError as error:
        raise ConfigError(f"{recipe.origin.of('vocoder')}: {error}") from None


def _download_inputs(recipe: Recipe) -> Inputs:
    return flatten(recipe.corpus.model_dump(mode="json", exclude_none=True), "corpus")


def _download_outputs(recipe: Recipe) -> list[Path]:
    return [
        recipe.data(corpus, split) / "wav.scp"
        for corpus in recipe.corpus.names
        for split in ("train", "test")
    ]


def asks_for_f0(recipe: Recipe, split: str, kinds: Iterable[str]) -> bool:
    """Tell whether stage 2 estimates F0 ranges and statistics of the voices of a split.

    Args:
        recipe: the experiment; a family whose only targets are recordings has no use for the
            statistics of voices.
        split: the split; training opens the statistics of `train` and `dev`.
        kinds: the kinds that are computed of it.
    """
    opened = split in ("train", "dev") and not system(recipe).only_references
    return opened or any(map(registry.in_voice_range, kinds))


def stores(recipe: Recipe) -> list[Path]:
    """Return the folders of the features that stage 2 has computed for a recipe."""
    wanted = {split: kinds(recipe, split) for split in SPLITS}
    folders = [
        recipe.dump(corpus, split, kind)
        for corpus in recipe.corpus.names
        for split, found in wanted.items()
        for kind in ("f0",) * asks_for_f0(recipe, split, found) + found
    ]
    return [folder for folder in folders if folder.is_dir()]


def _features_damage(recipe: Recipe) -> Iterator[str]:
    return _damage(stores(recipe))


def _train_damage(recipe: Recipe) -> Iterator[str]:
    found = recipe.exp / "checkpoints"
    used = dict.fromkeys((latest(found), checkpoints.converting(found)))
    for folder in used:
        if folder is not None:
            yield from checkpoints.damage(folder)


def _infer_damage(recipe: Recipe) -> Iterator[str]:
    return _damage(path.parent for path in sorted(recipe.exp.glob("infer/*/*/feats.scp")))


def _damage(folders: Iterable[Path]) -> Iterator[str]:
    from vctool.data.store import problem

    for folder in folders:
        told = problem(folder)
        if told:
            yield f"{folder}: {told}"


def _features_inputs(recipe: Recipe) -> Inputs:
    inputs = _download_inputs(recipe) | {"features": sorted(kinds(recipe))}
    for corpus in recipe.corpus.names:
        inputs[f"data/{corpus}"] = hashes.of_data(Path("data") / corpus)
    for kind in kinds(recipe):
        inputs |= flatten(recipe.features.of_kind(kind), "features")
    return inputs


def _features_outputs(recipe: Recipe) -> list[Path]:
    # Accompaniment kinds exist only where a corpus has accompaniments.
    return [recipe.stats(corpus, "train") for corpus in recipe.corpus.names] + [
        recipe.dump(corpus, split, kind) / "feats.scp"
        for corpus in recipe.corpus.names
        for split in ("train", recipe.evaluate.split)
        for kind in registry.voice_kinds(kinds(recipe, split))
    ]


def _train_inputs(recipe: Recipe) -> Inputs:
    train = recipe.train.model_dump(mode="json", by_alias=True, exclude=set(PACE_FIELDS))
    model = model_config(recipe).model_dump(mode="json")
    inputs = _features_inputs(recipe) | {"family": recipe.family}
    if recipe.base is not None:
        inputs["extends"] = recipe.extends
        inputs[str(recipe.base)] = hashes.of_checkpoint(recipe.base)
    for field, experiment in (("start", recipe.start), ("mels_of", recipe.maker)):
        if experiment is not None:
            inputs[f"fine_tune.{field}"] = experiment.name
            inputs[str(experiment)] = hashes.of_checkpoint(experiment)
    for part, path in system(recipe).builds_on(model_config(recipe)).items():
        inputs[f"weights of {part}"] = hashes.of_model(Path(path))
    return inputs | flatten(model, "model") | flatten(train, "train")


def _train_outputs(recipe: Recipe) -> list[Path]:
    checkpoints = recipe.exp / "checkpoints"
    return [latest(checkpoints) or checkpoints / "manifest.json"]


def _infer_inputs(recipe: Recipe) -> Inputs:
    inputs = _features_inputs(recipe) | {"checkpoint": hashes.of_checkpoint(recipe.exp)}
    inputs["train.seed"] = recipe.train.seed
    inputs["evaluate.max_utterances"] = recipe.evaluate.max_utterances
    inputs["evaluate.split"] = recipe.evaluate.split
    if taken := borrowed(recipe):
        inputs["of the source"] = list(taken)
    if recipe.evaluate.roles is not None:
        inputs["evaluate.roles"] = list(recipe.evaluate.roles)
    if recipe.evaluate.directions is not None:
        inputs["evaluate.directions"] = list(recipe.evaluate.directions)
    return inputs | flatten(recipe.convert.model_dump(mode="json"), "convert")


def _synthesize_inputs(recipe: Recipe) -> Inputs:
    inputs = _infer_inputs(recipe) | {"vocoder": recipe.vocoder}
    return inputs | _vocoder_weights(recipe)


def _vocoder_weights(recipe: Recipe) -> Inputs:
    """Hash the weights of the recipe's vocoder, if it has any, and the settings beside them."""
    try:
        files = vocoders.files(recipe.vocoder, recipe.features)
    except (CheckpointError, ConfigError):  # the stage itself says what to do about it
        return {"vocoder weights": hashes.MISSING}
    return {f"vocoder {what}": hashes.of_file(path) for what, path in files.items()}


def _evaluate_inputs(recipe: Recipe) -> Inputs:
    evaluate = recipe.evaluate.model_dump(mode="json", exclude_none=True)
    if evaluate.get("task") == system(recipe).task:
        del evaluate["task"]  # whether a recipe says so or not
    sounds = hashes.of_results(recipe.exp, written.noted(recipe.exp, "synthesize"))
    return _synthesize_inputs(recipe) | {"sounds": sounds} | flatten(evaluate, "evaluate")


def _export_inputs(recipe: Recipe) -> Inputs:
    return _train_inputs(recipe) | {"checkpoint": hashes.of_checkpoint(recipe.exp)}


STAGES = (
    Stage(
        1,
        "download",
        "fetch or build the corpora and prepare their data dirs",
        _download_inputs,
        _download_outputs,
    ),
    Stage(
        2,
        "features",
        "compute features and F0 statistics",
        _features_inputs,
        _features_outputs,
        needs=("download",),
        damage=_features_damage,
    ),
    Stage(
        3,
        "train",
        "train, or continue from the last checkpoint",
        _train_inputs,
        _train_outputs,
        needs=("features",),
        damage=_train_damage,
    ),
    Stage(
        4,
        "infer",
        "convert held-out utterances",
        _infer_inputs,
        lambda recipe: [recipe.exp / "infer" / "pairs.tsv"],
        needs=("features", "train"),
        damage=_infer_damage,
    ),
    Stage(
        5,
        "synthesize",
        "turn converted features into sound",
        _synthesize_inputs,
        lambda recipe: [recipe.exp / "wav"],
        needs=("infer",),
    ),
    Stage(
        6,
        "evaluate",
        "score beside the baselines, plot, write RESULTS.md and report.html",
        _evaluate_inputs,
        lambda recipe: [
            recipe.exp / name for name in ("RESULTS.md", "results.json", "report.html")
        ],
        needs=("download", "synthesize"),
    ),
    Stage(
        7,
        "export",
        "write the model for hosts in real time, if it is one that runs so",
        _export_inputs,
        lambda recipe: [recipe.exp / "export" / "EXPORT.md"],
        needs=("train",),
    ),
)
"""All stages of a recipe, in order."""


def stage(name: str) -> Stage:
    """Return a stage by its name."""
    return next(entry for entry in STAGES if entry.name == name)


def upstream(entry: Stage) -> Iterable[Stage]:
    """Yield the stages whose results a stage depends on, directly or through others, in order."""
    wanted = set(entry.needs)
    for other in reversed(STAGES):
        if other.name in wanted:
            wanted |= set(other.needs)
    return (other for other in STAGES if other.name in wanted)

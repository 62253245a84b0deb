"""Build what stage 3 trains: the system, its batches, and the writer of samples."""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch

from vctool.data.feature_set import FeatureSet
from vctool.engine.distributed import Processes
from vctool.engine.loop import Trainer
from vctool.errors import ConfigError, DataError
from vctool.experiment import plan
from vctool.experiment.features import open_set
from vctool.experiment.recipe import Recipe
from vctool.features.stats import SpeakerStats, pool
from vctool.models.base import Context, Dataset, System, family
from vctool.progress import busy
from vctool.training import extend, fine_tune, parts
from vctool.training.samples import Samples

logger = logging.getLogger(__name__)

VALIDATION_SEED = 1
"""Added to the recipe's seed for the held-out clips."""


def prepare(recipe: Recipe, own: Processes, before: extend.Base | None = None) -> Trainer:
    """Build the system, its batches and the hook that writes samples.

    Args:
        recipe: the experiment.
        own: which process this is.
        before: the experiment that it extends, if any.
    """
    cls = family(recipe.family)
    config = plan.model_config(recipe)
    plan.check(recipe)
    held = None
    with busy("opening the features"):
        sets = open_sets(recipe, plan.kinds(recipe, "train"), "train")
        if has_split(recipe, "dev"):
            held = open_sets(recipe, plan.kinds(recipe, "dev"), "dev")
    torch.manual_seed(recipe.train.seed)
    known = context(recipe, sets)
    system = cls(config, known if before is None else extend.widen(recipe, before, known))
    if before is not None:
        extend.take_over(system, before)
    if recipe.start is not None:
        fine_tune.begin(system, recipe)
    parts.take_over(system, recipe)
    valid: Dataset | None = None
    sample: Samples | None = None
    if not system.groups():
        logger.info("%s: learns nothing; it is set up and saved", recipe.family)
    elif held is None:
        logger.warning("no dev split of every role: training without held-out validation")
        if recipe.train.converts == "best":
            raise ConfigError(
                "train.converts: best, and there is no dev split of every role to tell which is; "
                "prepare one, or set it to latest"
            )
    else:
        valid = dataset(recipe, system, held, recipe.train.seed + VALIDATION_SEED)
        if own.writes:
            sample = Samples(recipe.exp / "samples", held, system)
    return Trainer(
        system,
        dataset(recipe, system, sets, recipe.train.seed),
        valid,
        recipe.train,
        recipe.exp,
        family=recipe.family,
        recipe=recipe.model_dump(mode="json", by_alias=True),
        recordings={
            role: {"utterances": len(one), "content": one.content} for role, one in sets.items()
        },
        processes=own,
        sample=sample,
        fitted=recipe.start is not None,
    )


def dataset(
    recipe: Recipe, system: System, sets: Mapping[str, FeatureSet], seed: int
) -> Dataset | None:
    """Return the batches that a system draws from utterances by role."""
    batch_size = recipe.train.batch_size
    return system.dataset(system.config, system.context, sets, batch_size, seed)


def has_split(recipe: Recipe, split: str) -> bool:
    """Tell whether every corpus of a recipe has a split."""
    return all((recipe.data(name, split) / "wav.scp").is_file() for name in recipe.corpus.names)


def open_sets(recipe: Recipe, kinds: tuple[str, ...], split: str) -> dict[str, FeatureSet]:
    """Open the utterances of every role with their features.

    Kinds of the accompaniment are left out where a corpus has none; a family that needs them
    raises an error.

    Raises:
        DataError: no features, or no utterance of a role.
    """
    sets, opened = {}, {}
    for role, corpus in recipe.roles.items():
        if corpus not in opened:  # once, for time and for the cache, which roles then share
            instead: dict[str, Path] = {}
            if recipe.maker is not None:
                instead[fine_tune.KIND] = fine_tune.store(recipe, corpus, split)
            opened[corpus] = open_set(recipe, corpus, split, kinds, instead)
        whole = opened[corpus]
        sets[role] = whole.subset(recipe.plays(role))
        if not len(sets[role]):
            raise DataError(
                f"{whole.path}: no utterance of role '{role}' with features; see utt2domain and "
                "rejected.tsv, then rerun stages 1 and 2"
            )
    return sets


def context(recipe: Recipe, sets: Mapping[str, FeatureSet]) -> Context:
    """Collect the context that the system needs of the training data.

    Raises:
        DataError: no utterance of a role has a voiced frame.
    """
    speakers: dict[str, list[SpeakerStats]] = {}
    domains = {}
    referred = plan.system(recipe).only_references  # then nobody asked for statistics
    for role, utterances in sets.items():
        if referred:
            continue
        if not utterances.speakers:
            raise DataError(
                f"{utterances.path}: no voiced frame in any utterance of role '{role}'; "
                "check the recordings and features.f0_floor and f0_ceil"
            )
        domains[role] = pool(list(utterances.speakers.values()))
        for name, stats in utterances.speakers.items():
            speakers.setdefault(name, []).append(stats)
    return Context(
        features=recipe.features,
        vocoder=recipe.vocoder,
        roles=() if referred else tuple(recipe.roles),
        speakers={name: pool(found) for name, found in sorted(speakers.items())},
        domains=domains,
    )

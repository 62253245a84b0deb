"""`vctool scoreboard`: score several experiments on one pair of voices, in one table.

    OUT/RESULTS.md  results.json  utterances.tsv  report.html  plots/

Experiments may have been scored before on different utterances, or among other directions; here
those utterances are scored that all of them converted, each once, beside the baselines.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from vctool import checkpoints
from vctool.errors import ConfigError, DataError
from vctool.evaluation.board import markdown
from vctool.evaluation.outputs import digest, read_outputs
from vctool.evaluation.page.report import MODEL, config_hash
from vctool.evaluation.scoring import score
from vctool.evaluation.voices.baselines import SYSTEMS
from vctool.evaluation.voices.neighbours import FAMILY
from vctool.evaluation.voices.report import of_direction
from vctool.evaluation.voices.selection import select
from vctool.evaluation.voices.shared import shared
from vctool.experiment import directions
from vctool.experiment.directions import Direction, Rows
from vctool.experiment.recipe import Recipe, resolve

LEAST = 2
"""Minimum number of utterances that all experiments must have converted."""


class Entry(NamedTuple):
    """One experiment and its direction between the two voices."""

    folder: Path
    recipe: Recipe
    way: Direction


def run(
    experiments: Sequence[Path],
    out: Path,
    source: str | None = None,
    target: str | None = None,
    nj: int = 1,
) -> str:
    """Score what experiments converted from one voice to another.

    Args:
        experiments: folders that went through stage 5; the first is the row `model`, the others
            have the names of their folders.
        out: gets the report.
        source: the voice that was converted; that of the first experiment with a single direction
            where None.
        target: the voice it was converted to; likewise.
        nj: processes; the scores do not depend on it.

    Returns:
        The table.

    Raises:
        ConfigError: fewer than two experiments, names that rows cannot have, or no pair of voices
            is named.
        DataError: an experiment does not convert that pair, or of another corpus or split, or they
            have too few utterances in common.
        CheckpointError: a folder is not an experiment.
    """
    if len(experiments) < 2 or len({path.name for path in experiments}) < len(experiments):
        raise ConfigError(
            "vctool scoreboard: name two experiments or more, each once, whose folders have "
            "different names"
        )
    for path in experiments[1:]:
        if path.name in (*SYSTEMS, FAMILY, MODEL):
            raise ConfigError(
                f"vctool scoreboard: {path} would have the row '{path.name}', which is another's; "
                "name it first, or rename its folder"
            )
    recipes = {
        path: resolve(dict(checkpoints.read_state(checkpoints.find(path))["recipe"]), str(path))
        for path in experiments
    }
    pair = _pair(recipes, source, target)
    entries = [Entry(path, recipe, _way(path, recipe, pair)) for path, recipe in recipes.items()]
    rows = _common(entries)
    first, *others = entries
    names = [name for name, _ in rows]
    with shared(first.recipe, nj) as common:
        held = select(first.recipe, first.way, rows, common.read)
        job = of_direction(first.recipe, first.way, held, common)
        rate = job.task.rate
        job = replace(
            job,
            folder=out,
            name=f"{' to '.join(pair)} by {', '.join(path.name for path in experiments)}",
            outputs=read_outputs(first.folder / first.way.sounds, names, rate),
            model=f"{first.folder}, {first.recipe.family}",
            config_hash=digest([config_hash(one.recipe) for one in entries], ()),
            data_hash=digest(held.ids, [*job.task.sources, *job.task.target_recordings]),
            others={
                one.folder.name: read_outputs(one.folder / one.way.sounds, names, rate)
                for one in others
            },
            told={one.folder.name: f"{one.folder}, {one.recipe.family}" for one in others},
            notes=[f"Scored are the {len(rows)} utterances that all of these converted"],
        )
        scored = score(job, common.each)
    return markdown(scored.findings.scores)


def _pair(recipes: dict[Path, Recipe], source: str | None, target: str | None) -> tuple[str, str]:
    """Choose the two voices."""
    if source is not None and target is not None:
        return source, target
    only = [ways[0] for one in recipes.values() if len(ways := directions.of(one)) == 1]
    if not only:
        raise ConfigError(
            "vctool scoreboard: these convert between many voices; pass --source and --target"
        )
    return source or only[0].source, target or only[0].target


def _way(path: Path, recipe: Recipe, pair: tuple[str, str]) -> Direction:
    """Find the direction between two voices."""
    ways = directions.of(recipe)
    for way in ways:
        if (way.source, way.target) == pair:
            return way
    known = ", ".join(way.title for way in ways)
    raise DataError(f"{path}: does not convert {pair[0]} to {pair[1]}; it converts {known}")


def _common(entries: Sequence[Entry]) -> Rows:
    """Return the utterances that all experiments converted, with the same partners."""
    first, *others = entries
    for one in others:
        for role in (first.way.source, first.way.target):
            mine = one.recipe.roles[role], one.recipe.evaluate.split
            theirs = first.recipe.roles[role], first.recipe.evaluate.split
            if mine != theirs:
                raise DataError(
                    f"{one.folder}: {role} is of {'/'.join(mine)}, in {first.folder} of "
                    f"{'/'.join(theirs)}; score both on the same"
                )
    found = [directions.read(one.folder, [one.way])[one.way] for one in entries]
    rows = [row for row in found[0] if all(row in other for other in found[1:])]
    if len(rows) < LEAST:
        names = " and ".join(str(one.folder) for one in entries)
        raise DataError(
            f"{names}: have {len(rows)} converted utterances in common; at least {LEAST} are "
            "needed, so let evaluate.max_utterances take more"
        )
    return rows

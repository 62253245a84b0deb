"""Scores of a recipe between speakers, or between the voices of any corpus, on held-out recordings.

    exp/<name>/RESULTS.md  results.json  utterances.tsv  report.html  plots/

With three voices and more every direction has its own report, and the experiment's is of them all:

    exp/<name>/<source>_to_<target>/RESULTS.md  ...
"""

import logging
from dataclasses import replace

from vctool.evaluation.outputs import require_outputs
from vctool.evaluation.page.journal import held_out_losses
from vctool.evaluation.page.report import recipe_settings
from vctool.evaluation.scoring import score
from vctool.evaluation.voices.folders import run_folder
from vctool.evaluation.voices.mean import Outcome, outcome, write_mean
from vctool.evaluation.voices.report import of_direction
from vctool.evaluation.voices.selection import select
from vctool.evaluation.voices.shared import shared
from vctool.experiment import directions
from vctool.experiment.recipe import Recipe

__all__ = ["run", "run_folder"]

logger = logging.getLogger(__name__)


def run(recipe: Recipe, nj: int = 1) -> None:
    """Score an experiment.

    Args:
        recipe: the experiment, converted and synthesised.
        nj: processes; the scores do not depend on it.

    Raises:
        DataError: stage 4 or 5 has not finished, or too little is held out.
    """
    rows = directions.read(recipe.exp, directions.of(recipe))
    with shared(recipe, nj) as common:
        held = {way: select(recipe, way, found, common.read) for way, found in rows.items()}
        for way, found in rows.items():  # before the first takes minutes
            require_outputs(recipe.exp / way.sounds, [name for name, _ in found])
        outcomes: list[Outcome] = []
        for way, chosen in held.items():
            job = of_direction(recipe, way, chosen, common)
            if not way.name:
                losses, config = held_out_losses(recipe.exp), recipe_settings(recipe)
                score(replace(job, losses=losses, config=config), common.each)
                return
            logger.info("%s, %d of %d", way.title, len(outcomes) + 1, len(held))
            outcomes.append(outcome(way, job, score(job, common.each)))
    write_mean(recipe, outcomes)

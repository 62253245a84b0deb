"""Stage 6: score a model's outputs beside their baselines, on held-out recordings.

    exp/<name>/RESULTS.md       tables: values, gaps closed, paired differences; settings
               results.json     the same, for programs
               utterances.tsv   every value of every utterance, for `vctool compare`
               report.html      RESULTS.md with players, in one file
               plots/           spectrograms with F0, loss curves

The audio files that stage 5 wrote are read back and scored by the task that the recipe names in
`evaluate.task`: a folder of `vctool.evaluation`.
"""

from vctool.evaluation import task
from vctool.experiment import plan
from vctool.experiment.recipe import Recipe


def run(recipe: Recipe, nj: int = 1) -> None:
    """Score an experiment.

    Args:
        recipe: the experiment, converted and synthesised.
        nj: number of processes; the scores do not depend on it.

    Raises:
        ConfigError: the recipe names a task that does not exist.
        DataError: stage 4 or 5 has not finished, or too little is held out.
    """
    chosen = task.get(plan.task(recipe), f"{recipe.name}: evaluate.task")
    chosen.run(recipe, nj)

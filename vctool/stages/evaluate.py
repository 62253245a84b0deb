"""Stage 6: score a model's outputs beside their anchors, on held-out recordings.

    exp/<name>/RESULTS.md       tables: values, gaps closed, paired differences; settings
               results.json     the same, for programs
               utterances.tsv   every value of every utterance, for `vctool compare`
               report.html      RESULTS.md with players, in one file
               plots/           spectrograms with F0, loss curves

What is scored are the files that stage 5 wrote, read back as anyone would hear them. Recipes whose
roles are speakers, those whose roles are domains, and those that train a vocoder have measures and
anchors of their own. Of three speakers and more every direction has its own report, and the
experiment's is of them all.
"""

from vctool.experiment import directions
from vctool.experiment.recipe import Recipe


def run(recipe: Recipe, nj: int = 1) -> None:
    """Score an experiment.

    Args:
        recipe: the experiment, converted and synthesised.
        nj: number of processes; the scores do not depend on it.

    Raises:
        DataError: stage 4 or 5 has not finished, or too little is held out.
    """
    if recipe.vocoder == "wave":  # what writes sound itself is a vocoder
        from vctool.evaluation.vocoders import run as copy_synthesis

        copy_synthesis.run_recipe(recipe, nj)
    elif recipe.corpus.name is not None and directions.of(recipe)[0].name:
        from vctool.evaluation.voices import directions as every_direction

        every_direction.run(recipe, nj)
    elif recipe.corpus.name is not None:
        from vctool.evaluation.voices import run as voice

        voice.run(recipe, nj)
    else:
        from vctool.evaluation.singing import run as singing

        singing.run(recipe, nj)

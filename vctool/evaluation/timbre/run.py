"""Scores of a recipe whose outputs have the notes of contents and the sound of styles.

    exp/<name>/RESULTS.md  results.json  utterances.tsv  report.html  plots/

The triplets that stage 4 converted are scored together, and by group: what the style's instrument
is to training, and whether one or several notes sound at once.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vctool.data.datadir import DataDir
from vctool.errors import DataError
from vctool.evaluation.board import JUDGED
from vctool.evaluation.folders import LEAST, about, owners, partners, read, recordings, table
from vctool.evaluation.outputs import digest, read_outputs
from vctool.evaluation.page.journal import held_out_losses
from vctool.evaluation.page.report import config_hash, recipe_settings
from vctool.evaluation.parallel import workers
from vctool.evaluation.scoring import score
from vctool.evaluation.timbre.board import TimbreTask
from vctool.evaluation.timbre.report import TimbreScoring
from vctool.experiment import directions
from vctool.experiment.recipe import Recipe

RATE = 16000
"""At which folders are compared [Hz]."""


def run(recipe: Recipe, nj: int = 1) -> None:
    """Score an experiment.

    Args:
        recipe: the experiment, converted and synthesised.
        nj: processes; the scores do not depend on it.

    Raises:
        DataError: stage 4 or 5 has not finished, or too little is held out.
    """
    (way,) = directions.of(recipe)
    rows = directions.read(recipe.exp, [way])[way]
    corpus, split = recipe.roles[way.source], recipe.evaluate.split
    data = DataDir.read(recipe.data(corpus, split))
    known = {one.id: one for one in data.triplets}
    lost = [name for name, _ in rows if name not in known]
    if lost or len(rows) < LEAST:
        told = f"no triplet '{lost[0]}'" if lost else f"{len(rows)} triplet(s) converted"
        raise DataError(f"{data.path}: {told}; run stage 4 (infer) again, with {LEAST} or more")
    drawn = [known[name] for name, _ in rows]
    rate = recipe.features.rate
    waves: dict[str, np.ndarray] = {}  # an utterance stands in several triplets

    def load(names: Sequence[str]) -> list[np.ndarray]:
        for name in names:
            if name not in waves:
                waves[name] = data[name].load(rate)
        return [waves[name] for name in names]

    targets = [one.target for one in drawn]
    noted = all(name in data.notes for name in targets)
    task = TimbreTask(
        rate,
        load([one.content for one in drawn]),
        load([one.style for one in drawn]),
        load(targets),
        [data.notes_of(name) for name in targets] if noted else None,
    )
    names = [one.id for one in drawn]
    job = TimbreScoring(
        folder=recipe.exp,
        name=recipe.name,
        utterances=names,
        task=task,
        outputs=read_outputs(recipe.exp / way.sounds, names, rate),
        model="the system of this experiment",
        groups=[f"{one.group}, {one.voices}" for one in drawn],
        config_hash=config_hash(recipe),
        data_hash=digest(
            [list(one) for one in drawn], [*task.contents, *task.styles, *task.targets]
        ),
        seed=recipe.train.seed,
        resamples=recipe.evaluate.bootstrap,
        losses=held_out_losses(recipe.exp),
        config=recipe_settings(recipe),
        cache=Path("dump") / corpus / JUDGED,
    )
    with workers(nj) as each:
        score(job, each)


def run_folder(
    converted: Path,
    out: Path,
    nj: int = 1,
    *,
    reference: Path,
    source: Path,
    style: Path,
) -> str:
    """Score recordings of any system.

    Args:
        converted: the recordings, each called like its target.
        out: folder that gets the results.
        nj: processes; the scores do not depend on it.
        reference: the targets.
        source: the contents, called like the targets.
        style: the styles, called like the targets.

    Returns:
        The table, with what must be known of it.

    Raises:
        DataError: a folder is missing or empty, fewer than `LEAST` recordings have their target,
            or a target has no content or style.
        AudioError: a recording cannot be used.
    """
    places = (converted, reference, source, style, out)

    def own(folder: Path, what: str) -> dict[str, Path]:
        return recordings(folder, what, [one for one in places if one != folder])

    outputs, targets = own(converted, "conversions"), own(reference, "targets")
    notes: list[str] = []
    owner = owners(converted, list(outputs), reference, list(targets), "target", notes)
    targeted = list(owner.values())

    def beside(folder: Path, what: str) -> list[Path]:
        found = own(folder, f"{what}s")
        return partners(targeted, folder, found, what, "give them the targets' names")

    task = TimbreTask(
        RATE,
        read(beside(source, "content"), RATE),
        read(beside(style, "style"), RATE),
        read([targets[name] for name in targeted], RATE),
    )
    heard = [*task.contents, *task.styles, *task.targets]
    job = TimbreScoring(
        **about(converted, out, targeted, targeted, heard, notes),
        task=task,
        outputs=read([outputs[name] for name in owner], RATE),
        model=f"the recordings in {converted}",
        groups=["all"] * len(targeted),
    )
    return table(job, nj)

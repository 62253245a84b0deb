"""Scores of a recipe whose roles are domains: speech that was turned into singing."""

import logging
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vctool.data.datadir import DataDir, Utterance
from vctool.errors import DataError
from vctool.evaluation import outputs as converted
from vctool.evaluation.page import html, report, utterances
from vctool.evaluation.parallel import workers
from vctool.evaluation.singing import (
    baselines,
    figures,
)
from vctool.evaluation.singing import (
    report as singing_report,
)
from vctool.evaluation.singing.board import REAL, SingingBoard, SingingTask
from vctool.evaluation.vocoders import copies
from vctool.experiment import directions
from vctool.experiment.recipe import Recipe
from vctool.metrics.base import Each
from vctool.metrics.words import read_grammar

logger = logging.getLogger(__name__)

MODEL, SHUFFLED = report.MODEL, "model, shuffled"
"""Rows of the model: with its own accompaniments, and converted under others'."""
LACKING = {
    "accompaniments": "the recipe's singing has no accompaniment",
    "targets": "the corpora hold no sentence both spoken and sung",
    "target_maps": "the corpora hold no sentence both spoken and sung",
    "grammar": "the corpus has no slot grammar",
}
"""Why a metric is not run on a recipe's recordings."""


class HeldOutSinging(NamedTuple):
    """What is scored, and against what."""

    sources: list[Utterance]
    targets: list[Utterance | None]
    """Whose accompaniment every source was converted under."""
    singing: list[Utterance]
    """Held-out recordings of the target role, sorted by id."""
    truths: list[Utterance] | None
    """The same sentences truly sung, where the corpus is paired."""
    truth_maps: list[np.ndarray] | None
    """(K, 2) moments of speech and of true singing [s]."""
    time_maps: list[np.ndarray] | None
    """(K, 2) moments of speech and of the output [s], where stage 4 lengthened."""


def run(recipe: Recipe, nj: int = 1) -> None:
    """Score an experiment.

    Args:
        recipe: the experiment, converted and synthesised.
        nj: number of processes; the scores do not depend on it.

    Raises:
        DataError: stage 4 or 5 has not finished, or too little is held out.
    """
    held = select(recipe)
    rate, not_run = recipe.features.rate, dict[str, str]()
    sources = [one.load(rate) for one in held.sources]
    names = [one.id for one in held.sources]
    outputs = converted.outputs(recipe.exp / "wav", names, rate)
    half_b = held.singing[1::2]
    accomps = _accompaniments(held.targets, rate)
    if accomps is None:
        not_run[baselines.DRONE] = LACKING["accompaniments"]
    b_accomps = _accompaniments(half_b, rate)
    corpus = recipe.data(next(iter(recipe.roles.values())), recipe.evaluate.split)
    has_grammar = held.truths is not None and (corpus / "grammar.json").is_file()
    task = SingingTask(
        rate,
        sources,
        [one.load(rate) for one in held.singing[::2]],
        [one.load(rate) for one in half_b],
        accomps,
        b_accomps,
        None if held.truths is None else [one.load(rate) for one in held.truths],
        held.truth_maps,
        [one.text or "" for one in held.sources],
        read_grammar(corpus) if has_grammar else None,
        recipe.train.seed,
        LACKING,
    )
    with workers(nj) as each:
        _score(recipe, held, task, outputs, not_run, each, nj)


def _score(
    recipe: Recipe,
    held: HeldOutSinging,
    task: SingingTask,
    outputs: list[np.ndarray],
    not_run: dict[str, str],
    each: Each,
    nj: int,
) -> None:
    rate = task.rate
    sources, accomps = task.sources, task.accomps
    names = [one.id for one in held.sources]
    board = SingingBoard(task, each)
    systems = baselines.build(
        sources,
        rate,
        accomps,
        task.real_b,
        time_maps=held.time_maps,
        resynthesis=[
            one.wave for one in copies.copy_waves(sources, recipe.vocoder, recipe.features, nj)
        ],
        seed=recipe.train.seed,
        each=each,
    )
    lengthened = {"F0 snap", "drone"}
    systems[MODEL] = outputs
    if (recipe.exp / "wav_shuffled").is_dir():
        systems[SHUFFLED] = converted.outputs(recipe.exp / "wav_shuffled", names, rate)
    else:
        not_run[SHUFFLED] = f"the family takes no accompaniment ({recipe.exp}/wav_shuffled)"
    for name, waves in converted.progress(systems.items(), len(systems)):
        follows = name in lengthened or name in (MODEL, SHUFFLED)
        board.add(name, waves, time_maps=held.time_maps if follows else None)
    scores = board.scores(recipe.evaluate.bootstrap, recipe.train.seed)
    plots = figures.draw_all(recipe, board, systems, names)
    utterances.write(recipe.exp / utterances.NAME, names, board.per_utterance())
    heard = chain(sources, task.real_a, task.real_b, accomps or ())
    digest = data_digest(held, heard)
    not_run = board.not_run | not_run
    found = singing_report.findings(recipe, board, scores, not_run, plots, digest)
    text = report.write(found)
    heard_by_row = systems if task.truths is None else systems | {REAL: list(task.truths)}
    shown = html.exhibits(names, heard_by_row, plots)
    html.write(recipe.exp, text, shown, rate, found.systems)
    logger.info("%s and %s written", recipe.exp / "RESULTS.md", html.NAME)


def select(recipe: Recipe) -> HeldOutSinging:
    """Find what was converted and what it is compared with.

    Raises:
        DataError: nothing was converted, a converted utterance is gone, or fewer than two
            recordings of either role are held out.
    """
    (way,) = directions.of(recipe)
    rows = directions.read(recipe.exp, [way])[way]
    first, last = way.source, way.target
    speech = DataDir.read(recipe.data(recipe.roles[first], recipe.evaluate.split))
    sung = DataDir.read(recipe.data(recipe.roles[last], recipe.evaluate.split))
    singing = converted.held_out(sung, last, recipe, len(rows))
    limit = 2 * recipe.evaluate.max_utterances
    rng = np.random.default_rng([recipe.train.seed, 6])
    drawn = sorted(rng.permutation(len(singing))[:limit].tolist())
    own = dict(speech.pairs)
    paired = all(name in own and own[name] in sung for name, _ in rows)
    maps = recipe.exp / way.times
    return HeldOutSinging(
        [speech[name] for name, _ in rows],
        [sung[other] if other else None for _, other in rows],
        [singing.utterances[index] for index in drawn],
        [sung[own[name]] for name, _ in rows] if paired else None,
        [speech.time_map(name) for name, _ in rows] if paired else None,
        [_read_map(maps / f"{name}.tsv") for name, _ in rows]
        if recipe.convert.stretch != 1.0
        else None,
    )


def _read_map(path: Path) -> np.ndarray:
    try:
        return np.loadtxt(path, skiprows=1, ndmin=2)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a time map ({error}); run stage 4 (infer) again") from None


def _accompaniments(owners: Sequence[Utterance | None], rate: int) -> list[np.ndarray] | None:
    """Read the accompaniments of utterances; None where any has none."""
    named = [one for one in owners if one is not None and one.accomp]
    if not named or len(named) < len(owners):
        return None
    return [one.load_accomp(rate) for one in named]


def data_digest(held: HeldOutSinging, waves: Iterable[np.ndarray]) -> str:
    """Hash the recordings that were scored, under which accompaniments, and their sound."""
    rows = [
        [one.id, other.id if other else ""]
        for one, other in zip(held.sources, held.targets, strict=True)
    ]
    return converted.digest([rows, [one.id for one in held.singing]], waves)

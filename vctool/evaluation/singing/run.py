"""Scores of speech that was turned into singing, on held-out recordings.

exp/<name>/RESULTS.md  results.json  utterances.tsv  report.html  plots/
"""

from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vctool.data.datadir import DataDir, Utterance
from vctool.errors import DataError
from vctool.evaluation.board import JUDGED
from vctool.evaluation.outputs import digest, held_out, read_outputs
from vctool.evaluation.page.report import config_hash
from vctool.evaluation.parallel import workers
from vctool.evaluation.scoring import score
from vctool.evaluation.singing.baselines import DRONE
from vctool.evaluation.singing.board import SingingTask
from vctool.evaluation.singing.folders import run_folder
from vctool.evaluation.singing.neighbours import FAMILY, MOST_RECORDINGS, sing
from vctool.evaluation.singing.report import SHUFFLED, SingingScoring, held_out_losses
from vctool.experiment import directions
from vctool.experiment.recipe import Recipe
from vctool.features import sphinx
from vctool.metrics.base import Each
from vctool.metrics.words import read_grammar

__all__ = ["run", "run_folder"]

LACKING = {
    "accompaniments": "the recipe's singing has no accompaniment",
    "targets": "the corpora hold no sentence both spoken and sung",
    "target_maps": "the corpora hold no sentence both spoken and sung",
    "grammar": "the corpus has no slot grammar",
    "texts": "the corpora have no text of the speech",
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
        nj: processes; the scores do not depend on it.

    Raises:
        DataError: stage 4 or 5 has not finished, or too little is held out.
    """
    held = select(recipe)
    rate, absent = recipe.features.rate, dict[str, str]()
    names = [one.id for one in held.sources]
    outputs = read_outputs(recipe.exp / "wav", names, rate)
    task = load_task(recipe, held)
    if task.accomps is None:
        absent[DRONE] = LACKING["accompaniments"]
    shuffled = None
    if (recipe.exp / "wav_shuffled").is_dir():
        shuffled = read_outputs(recipe.exp / "wav_shuffled", names, rate)
    else:
        absent[SHUFFLED] = f"the family takes no accompaniment ({recipe.exp}/wav_shuffled)"
    try:
        sphinx.shipped()
    except ImportError:
        absent[FAMILY] = "its phones are heard by pocketsphinx, which is not installed"
    others = [other.id if other else "" for other in held.targets]
    rows = [list(row) for row in zip(names, others, strict=True)]
    heard = chain(task.sources, task.real_a, task.real_b, task.accomps or ())
    job = SingingScoring(
        folder=recipe.exp,
        name=recipe.name,
        utterances=names,
        config_hash=config_hash(recipe),
        data_hash=digest([rows, [one.id for one in held.singing]], heard),
        seed=recipe.train.seed,
        resamples=recipe.evaluate.bootstrap,
        losses=held_out_losses(recipe),
        task=task,
        outputs=outputs,
        model="the system of this experiment",
        shuffled=shuffled,
        time_maps=held.time_maps,
        vocoder=(recipe.vocoder, recipe.features),
        untrained=None if FAMILY in absent else partial(_untrained, recipe, task, held),
        absent=absent,
        cache=Path("dump") / next(iter(recipe.roles.values())) / JUDGED,
    )
    with workers(nj) as each:
        score(job, each)


def _untrained(
    recipe: Recipe, task: SingingTask, held: HeldOutSinging, each: Each
) -> list[np.ndarray]:
    """Make the row `knn_vc` of training recordings of the target role, drawn with the seed."""
    (way,) = directions.of(recipe)
    training = DataDir.read(recipe.data(recipe.roles[way.target], "train"))
    sung = training.subset(recipe.plays(way.target)).utterances
    order = np.random.default_rng([recipe.train.seed, 6]).permutation(len(sung))
    waves = [sung[index].load(task.rate) for index in order[:MOST_RECORDINGS].tolist()]
    return sing(task.sources, task.rate, waves, task.accomps, time_maps=held.time_maps, each=each)


def load_task(recipe: Recipe, held: HeldOutSinging) -> SingingTask:
    """Read all recordings, and the grammar of their sentences where there is one."""
    rate = recipe.features.rate
    corpus = recipe.data(next(iter(recipe.roles.values())), recipe.evaluate.split)
    has_grammar = held.truths is not None and (corpus / "grammar.json").is_file()
    half_b = held.singing[1::2]
    texts = [one.text for one in held.sources if one.text is not None]
    return SingingTask(
        rate,
        [one.load(rate) for one in held.sources],
        [one.load(rate) for one in held.singing[::2]],
        [one.load(rate) for one in half_b],
        _accompaniments(held.targets, rate),
        _accompaniments(half_b, rate),
        None if held.truths is None else [one.load(rate) for one in held.truths],
        held.truth_maps,
        texts if len(texts) == len(held.sources) else None,
        read_grammar(corpus) if has_grammar else None,
        [one.speaker for one in held.singing[::2]],
        [one.speaker for one in half_b],
        recipe.train.seed,
        LACKING,
    )


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
    singing = held_out(sung, last, recipe, len(rows))
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

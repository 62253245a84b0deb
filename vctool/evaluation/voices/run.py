"""Scores of a recipe whose roles are speakers, on held-out recordings of both."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vctool.data.datadir import DataDir, Utterance
from vctool.data.speaker_table import SpeakerTable
from vctool.data.store import FeatureStore
from vctool.evaluation import outputs
from vctool.evaluation.board import JUDGED
from vctool.evaluation.page import journal, report
from vctool.evaluation.page.report import config_hash
from vctool.evaluation.voices import baselines
from vctool.evaluation.voices import report as voice_report
from vctool.evaluation.voices.baselines import FEATURES, Formula, Speaker
from vctool.evaluation.voices.board import VoiceTask
from vctool.evaluation.voices.report import VoiceJob
from vctool.experiment import directions
from vctool.experiment.directions import Direction, Rows
from vctool.experiment.recipe import Recipe

MOST_TRAINING = 100
"""Training recordings of a speaker that references and anchors are taken from, drawn with the
recipe's seed; more would hardly change them."""

Load = Callable[[Utterance], np.ndarray]
"""Reads a recording, (T,)."""


class HeldOutVoices(NamedTuple):
    """What is scored, and against what."""

    sources: list[Utterance]
    targets: list[Utterance] | None
    """The target's recordings of the same sentences, in the same order; None: not parallel."""
    recordings: list[Utterance]
    """Held-out recordings of the target."""
    source_training: list[Utterance]
    target_training: list[Utterance]


def run(recipe: Recipe, nj: int = 1) -> None:
    """Score an experiment; see `vctool.stages.evaluate.run`."""
    (way,) = directions.of(recipe)
    held = select(recipe, way)
    task = load_task(held, recipe.features.rate)
    job = describe(recipe, way, held, task)
    formula = stored_formula(recipe, way, held)
    losses = journal.held_out_losses(recipe.exp)
    voice_report.score(
        replace(job, formula=formula, losses=losses, config=report.settings(recipe)), nj
    )


def describe(recipe: Recipe, way: Direction, held: HeldOutVoices, task: VoiceTask) -> VoiceJob:
    """Say what is scored in one direction.

    Args:
        recipe: the experiment.
        way: one of its directions.
        held: what `select` found.
        task: what `load_task` read of it.

    Raises:
        DataError: outputs are missing.
    """
    names = [one.id for one in held.sources]
    ids = [[one.id for one in group] for group in held if group is not None]
    heard = [*task.sources, *task.target_recordings, *(task.targets or ())]
    return VoiceJob(
        folder=recipe.exp / way.scores,
        name=f"{recipe.name}, {way.title}" if way.name else recipe.name,
        utterances=names,
        task=task,
        outputs=outputs.outputs(recipe.exp / way.sounds, names, task.rate),
        model="the system of this experiment",
        config_hash=config_hash(recipe),
        data_hash=outputs.digest(ids, heard),
        seed=recipe.train.seed,
        resamples=recipe.evaluate.bootstrap,
        cache=Path("dump") / recipe.roles[way.source] / JUDGED,
    )


def select(recipe: Recipe, way: Direction | None = None, rows: Rows | None = None) -> HeldOutVoices:
    """Find what was converted and what it is compared with.

    Args:
        recipe: the experiment.
        way: one of its directions; the only one where None.
        rows: the converted utterances that are meant; all where None.

    Raises:
        DataError: nothing was converted, a converted utterance is gone, or fewer than two
            recordings of either speaker are held out.
    """
    way = way or directions.of(recipe)[0]
    rows = rows or directions.read(recipe.exp, [way])[way]
    sources, targets = (
        DataDir.read(recipe.data(recipe.roles[role], recipe.evaluate.split))
        for role in (way.source, way.target)
    )
    spoken = outputs.held_out(targets, way.target, recipe, len(rows))
    same = [targets[other] for _, other in rows] if all(other for _, other in rows) else None
    rng = np.random.default_rng([recipe.train.seed, 6])
    recordings = same or _draw(spoken, recipe.evaluate.max_utterances, rng)
    training = []
    for role in (way.source, way.target):
        if way.name:  # the same recordings of a speaker in all directions
            rng = np.random.default_rng([recipe.train.seed, 6])
        train = DataDir.read(recipe.data(recipe.roles[role], "train"))
        training.append(_draw(train.subset(recipe.plays(role)), MOST_TRAINING, rng))
    return HeldOutVoices([sources[name] for name, _ in rows], same, recordings, *training)


def _draw(data: DataDir, most: int, rng: np.random.Generator) -> list[Utterance]:
    """Draw utterances, in order of their ids."""
    return [data.utterances[place] for place in sorted(rng.permutation(len(data))[:most].tolist())]


def load_task(held: HeldOutVoices, rate: int, load: Load | None = None) -> VoiceTask:
    """Read all recordings at a rate [Hz], by `load` where it is given."""
    read = load or (lambda one: one.load(rate))

    def waves(utterances: Sequence[Utterance]) -> list[np.ndarray]:
        return [read(one) for one in utterances]

    targets = None if held.targets is None else waves(held.targets)
    texts = [one.text for one in held.sources if one.text is not None]
    return VoiceTask(
        rate,
        waves(held.sources),
        targets,
        waves(held.recordings) if targets is None else targets,
        waves(held.target_training),
        waves(held.source_training),
        texts if len(texts) == len(held.sources) else None,
    )


def stored_formula(recipe: Recipe, way: Direction, held: HeldOutVoices) -> Formula | None:
    """Fit the anchors on the features of stage 2, where those are what the anchors use."""
    source = stored_speaker(recipe, way.source, held.source_training)
    target = stored_speaker(recipe, way.target, held.target_training)
    return None if source is None or target is None else Formula(source, target)


def stored_speaker(recipe: Recipe, role: str, group: Sequence[Utterance]) -> Speaker | None:
    """Fit what the formulas know of a speaker on stage 2's features of its recordings."""
    corpus = recipe.roles[role]
    folder = recipe.dump(corpus, "train", "world")
    if recipe.features.of_kind("world") != FEATURES.of_kind("world"):
        return None
    if not (folder / "feats.scp").is_file():  # a family of another kind, such as mel
        return None
    if len({(one.speaker, one.domain) for one in group}) > 1:  # who do not share a range of F0
        return None
    store = FeatureStore(folder)
    voice = SpeakerTable.read(recipe.stats(corpus, "train")).of(group[0].speaker, group[0].domain)
    stored = [store[one.id] for one in group if one.id in store]
    if voice is None or not stored:
        return None
    return baselines.speaker(stored, voice.f0_floor, voice.f0_ceil)

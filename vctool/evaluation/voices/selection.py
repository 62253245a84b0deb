"""Select the recordings of an experiment between speakers that are scored, and references."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vctool.data.datadir import DataDir, Utterance
from vctool.data.speaker_table import SpeakerTable
from vctool.data.store import FeatureStore
from vctool.evaluation.outputs import held_out
from vctool.evaluation.voices.baselines import FEATURES, Speaker, fit_features
from vctool.evaluation.voices.board import VoiceTask
from vctool.experiment.directions import Direction, Rows
from vctool.experiment.recipe import Recipe

MOST_TRAINING = 100
"""Training recordings of a speaker that references and baselines are taken from, drawn with the
recipe's seed; more would hardly change them."""

Load = Callable[[Utterance], np.ndarray]
"""Reads a recording, (T,)."""
Read = Callable[[Path], DataDir]
"""Reads a data dir."""


class HeldOutVoices(NamedTuple):
    """What is scored, and against what."""

    sources: list[Utterance]
    targets: list[Utterance] | None
    """The target's recordings of the same sentences, in the same order; None: not parallel."""
    recordings: list[Utterance]
    """Held-out recordings of the target."""
    source_training: list[Utterance]
    target_training: list[Utterance]

    @property
    def ids(self) -> list[list[str]]:
        """The ids of every group that there is."""
        return [[one.id for one in group] for group in self if group is not None]


def select(recipe: Recipe, way: Direction, rows: Rows, read: Read = DataDir.read) -> HeldOutVoices:
    """Find what was converted and what it is compared with.

    Args:
        recipe: the experiment.
        way: one of its directions.
        rows: the converted utterances that are meant.
        read: reads a data dir, or remembers it.

    Raises:
        DataError: a converted utterance is gone, or fewer than two recordings of either speaker
            are held out.
    """
    sources, targets = (
        read(recipe.data(recipe.roles[role], recipe.evaluate.split))
        for role in (way.source, way.target)
    )
    spoken = held_out(targets, way.target, recipe, len(rows))
    same = [targets[other] for _, other in rows] if all(other for _, other in rows) else None
    rng = np.random.default_rng([recipe.train.seed, 6])
    recordings = same or _draw(spoken, recipe.evaluate.max_utterances, rng)
    training = []
    for role in (way.source, way.target):
        if way.name:  # the same recordings of a speaker in all directions
            rng = np.random.default_rng([recipe.train.seed, 6])
        train = read(recipe.data(recipe.roles[role], "train"))
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


def stored_speaker(recipe: Recipe, role: str, group: Sequence[Utterance]) -> Speaker | None:
    """Fit what the formulas know of a speaker on stage 2's features of its recordings."""
    corpus = recipe.roles[role]
    folder = recipe.dump(corpus, "train", "world")
    if recipe.features.of_kind("world") != FEATURES.of_kind("world"):
        return None
    if not (folder / "feats.scp").is_file():  # a family of another kind, such as mel
        return None
    if len({(one.speaker, one.domain) for one in group}) > 1:  # speakers with different F0 ranges
        return None
    store = FeatureStore(folder)
    voice = SpeakerTable.read(recipe.stats(corpus, "train")).of(group[0].speaker, group[0].domain)
    stored = [store[one.id] for one in group if one.id in store]
    if voice is None or not stored:
        return None
    return fit_features(stored, voice.f0_floor, voice.f0_ceil)

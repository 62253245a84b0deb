"""Scores of a recipe whose roles are speakers, on held-out recordings of both."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vctool.data.datadir import DataDir, Utterance
from vctool.data.speaker_table import SpeakerTable
from vctool.data.store import FeatureStore
from vctool.metrics.voice_board import VoiceTask
from vctool.recipe import Recipe
from vctool.stages.plan import flatten
from vctool.stages.scoring import converted, voice_anchors, voice_report
from vctool.stages.scoring.figures import read_journal
from vctool.stages.scoring.report import Losses, config_hash
from vctool.stages.scoring.voice_anchors import FEATURES, Formula, Speaker
from vctool.stages.scoring.voice_report import Job

MOST_TRAINING = 100
"""Training recordings of a speaker that references and anchors are taken from, drawn with the
recipe's seed; more would hardly change them."""
LOSSES = (
    "Losses of the last validation, without their weights. Never ranked: an unconverted copy has "
    "cycle and identity losses of 0."
)
"""What the held-out losses are."""


class HeldOut(NamedTuple):
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
    held = select(recipe)
    rate = recipe.features.rate
    names = [one.id for one in held.sources]
    outputs = converted.outputs(recipe.exp / "wav", names, rate)
    task = load_task(held, rate)
    ids = [[one.id for one in group] for group in held if group is not None]
    heard = [*task.sources, *task.target_recordings, *(task.targets or ())]
    voice_report.score(
        Job(
            folder=recipe.exp,
            name=recipe.name,
            utterances=names,
            task=task,
            outputs=outputs,
            model="the system of this experiment",
            config_hash=config_hash(recipe),
            data_hash=converted.digest(ids, heard),
            seed=recipe.train.seed,
            resamples=recipe.evaluate.bootstrap,
            formula=stored_formula(recipe, held),
            losses=held_out_losses(recipe.exp),
            config=settings(recipe),
            memory=Path("dump") / next(iter(recipe.roles.values())) / "judged",
        ),
        nj,
    )


def settings(recipe: Recipe) -> dict[str, object]:
    """Name every setting of a recipe, such as `train.steps`."""
    tree = recipe.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"name"})
    return {name: leaf for key, value in tree.items() for name, leaf in flatten(value, key).items()}


def select(recipe: Recipe) -> HeldOut:
    """Find what was converted and what it is compared with.

    Raises:
        DataError: nothing was converted, a converted utterance is gone, or fewer than two
            recordings of either speaker are held out.
    """
    rows = converted.pairs(recipe)
    first, last = recipe.roles
    corpus = recipe.roles[first]
    data = DataDir.read(recipe.data(corpus, recipe.evaluate.split))
    train = DataDir.read(recipe.data(corpus, "train"))
    spoken = converted.held_out(data, last, recipe, len(rows))
    parallel = all(other for _, other in rows)
    targets = [data[other] for _, other in rows] if parallel else None
    rng = np.random.default_rng([recipe.train.seed, 6])
    most = recipe.evaluate.max_utterances
    return HeldOut(
        [data[name] for name, _ in rows],
        targets,
        _draw(spoken, most, rng) if targets is None else targets,
        _draw(train.subset(recipe.plays(first)), MOST_TRAINING, rng),
        _draw(train.subset(recipe.plays(last)), MOST_TRAINING, rng),
    )


def _draw(data: DataDir, most: int, rng: np.random.Generator) -> list[Utterance]:
    """Draw utterances, in order of their ids."""
    return [data.utterances[place] for place in sorted(rng.permutation(len(data))[:most].tolist())]


def load_task(held: HeldOut, rate: int) -> VoiceTask:
    """Read all recordings at a rate [Hz]."""
    targets = None if held.targets is None else _load(held.targets, rate)
    texts = [one.text for one in held.sources if one.text is not None]
    return VoiceTask(
        rate,
        _load(held.sources, rate),
        targets,
        _load(held.recordings, rate) if targets is None else targets,
        _load(held.target_training, rate),
        _load(held.source_training, rate),
        texts if len(texts) == len(held.sources) else None,
    )


def _load(utterances: Sequence[Utterance], rate: int) -> list[np.ndarray]:
    return [one.load(rate) for one in utterances]


def stored_formula(recipe: Recipe, held: HeldOut) -> Formula | None:
    """Fit the anchors on the features of stage 2, where those are what the anchors use."""
    corpus = next(iter(recipe.roles.values()))
    folder = recipe.dump(corpus, "train", "world")
    if recipe.features.of_kind("world") != FEATURES.of_kind("world"):
        return None
    if not (folder / "feats.scp").is_file():  # a family of another kind, such as mel
        return None
    table = SpeakerTable.read(recipe.stats(corpus, "train"))
    store = FeatureStore(folder)
    source, target = (
        _stored_speaker(store, table, group)
        for group in (held.source_training, held.target_training)
    )
    return None if source is None or target is None else Formula(source, target)


def _stored_speaker(
    store: FeatureStore, table: SpeakerTable, group: Sequence[Utterance]
) -> Speaker | None:
    voice = table.of(group[0].speaker, group[0].domain)
    stored = [store[one.id] for one in group if one.id in store]
    if voice is None or not stored:
        return None
    return voice_anchors.speaker(stored, voice.f0_floor, voice.f0_ceil)


def held_out_losses(exp: Path) -> Losses:
    """Return every term of the last validation; none where training left no journal."""
    held = [line for line in read_journal(exp / "log" / "metrics.jsonl") if line["split"] == "dev"]
    if not held:
        return Losses()
    last = held[-1]
    values = {
        term: {"value": float(value), "step": float(last["step"])}
        for term, value in last.items()
        if "/" in term and not term.startswith("total")
    }
    return Losses(values, meaning=LOSSES)

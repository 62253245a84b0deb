"""Stage 4: convert held-out utterances, for scoring.

    exp/<name>/infer/pairs.tsv            utt, target_utt whose accompaniment it is sung to, or
                                          in which a target speaker says the same
                     pairs_shuffled.tsv   the same utterances, each with another's accompaniment
                     matched/<kind>/      converted features, a store per kind
                     shuffled/<kind>/
                     to_speech/<kind>/    some utterances the other way
                     */outputs.tsv        utt, samples and loudness that the sound will have
                     time_map/<utt>.tsv   speech_seconds, converted_seconds: where time went

Roles are those of the recipe: the first is the source (speech), the last the target (singing).
Where there are more than two, every ordered pair of them is a direction with a folder of its own
(`vctool.experiment.directions`).
Where a corpus holds pairs, an utterance is sung to its own pair's accompaniment; elsewhere to
that of a held-out target utterance drawn with the recipe's seed. Where roles are speakers, an
utterance is paired with the target's recording of the same sentence (`utt2sentence`); where none
of its utterances has one, they have no pair.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from vctool import cluster
from vctool.config import build
from vctool.data.atomic import write_text
from vctool.data.datadir import DataDir
from vctool.data.store import FeatureStore, StoreWriter
from vctool.errors import CheckpointError, DataError
from vctool.experiment import directions
from vctool.experiment.directions import Direction
from vctool.experiment.plan import checkpoint_hash
from vctool.experiment.recipe import Recipe
from vctool.features.analysis import voice_kinds
from vctool.inference.converter import Converter
from vctool.inference.request import Request
from vctool.inference.utterance import Converted, Pair, WorkerTask, convert, places, prepare, work
from vctool.models import base
from vctool.workers import pool

logger = logging.getLogger(__name__)

REVERSE_UTTERANCES = 10
"""Utterances that are converted from the target to the source, for listening."""


def run(recipe: Recipe, device: str = "auto", nj: int = 1) -> None:
    """Convert the held-out utterances of a recipe; continues where it was stopped.

    Args:
        recipe: the experiment.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        nj: threads that prepare what the model is given.

    Raises:
        CheckpointError: nothing is trained, or with other features than the recipe's.
        DataError: a role has no held-out utterances, or an accompaniment is missing.
    """
    converter = Converter(recipe.exp, device)
    if converter.features != recipe.features:
        raise CheckpointError(
            f"{recipe.exp}: was trained with other feature settings; train again with --fresh"
        )
    model = checkpoint_hash(recipe)
    matched = {}
    for way in directions.of(recipe):
        pairs = choose(recipe, way.source, way.target, converter.needs_accompaniment(way.target))
        request = _request(recipe, converter, way.target)
        digest = _digest(model, pairs, request)
        folder, times = recipe.exp / way.features, recipe.exp / way.times
        one = Set(folder, times, way.source, pairs, request, digest)
        _convert_set(recipe, converter, one, nj)
        if not way.name:
            _beside(recipe, converter, way, one, nj)
        matched[way] = pairs
    _write_pairs(directions.table(recipe.exp), matched)  # last: it marks the stage as complete


class Set(NamedTuple):
    """Utterances that are converted into one folder."""

    folder: Path
    """Gets a store per kind, and outputs.tsv."""
    times: Path
    """Gets the time maps."""
    role: str
    """Whose utterances they are."""
    pairs: Sequence[Pair]
    request: Request
    digest: str
    """Hash of what they follow from."""


def _request(recipe: Recipe, converter: Converter, to: str) -> Request:
    """Ask for a role; the recipe's stretch is that of its target, the last one."""
    stretch = recipe.convert.stretch if to == list(recipe.roles)[-1] else 1.0
    return converter.request(to, stretch)


def _beside(recipe: Recipe, converter: Converter, way: Direction, one: Set, nj: int) -> None:
    """Convert with other accompaniments, and some utterances the other way."""
    infer = one.folder.parent
    if converter.needs_accompaniment(way.target):
        shuffled = shuffle(one.pairs)
        other = one._replace(folder=infer / "shuffled", pairs=shuffled)
        _convert_set(recipe, converter, other, nj)
        _write_pairs(infer / "pairs_shuffled.tsv", {way: shuffled})
    if way.source != way.target:
        reverse = _reversed(recipe, converter, way.source, way.target)
        request = converter.request(way.source, 1.0)
        folder = infer / f"to_{way.source}"
        back = Set(folder, one.times, way.target, reverse, request, one.digest)
        _convert_set(recipe, converter, back, nj)


def role_utterances(recipe: Recipe, role: str) -> DataDir:
    """Return the held-out utterances of a role that have features.

    Raises:
        DataError: there are none.
    """
    corpus, split = recipe.roles[role], recipe.evaluate.split
    data = DataDir.read(recipe.data(corpus, split))
    stores = _stores(recipe, role)
    plays = recipe.plays(role)
    held = data.subset(lambda one: plays(one) and all(one.id in store for store in stores.values()))
    if not len(held):
        raise DataError(f"{data.path}: no utterance of role '{role}' with features; run stage 2")
    return held


def choose(recipe: Recipe, first: str, last: str, needed: bool) -> list[Pair]:
    """Draw the utterances that are scored, each with its pair.

    Args:
        recipe: the experiment; its seed decides, and `evaluate.max_utterances` bounds.
        first: the source role.
        last: the target role.
        needed: whether the conversion takes an accompaniment.

    Raises:
        DataError: a role has nothing held out, or no target utterance has an accompaniment.
    """
    rng = np.random.default_rng([recipe.train.seed, 4])
    sources, targets = role_utterances(recipe, first), role_utterances(recipe, last)
    usable = targets.subset(lambda one: bool(one.accomp) or not needed)
    if not len(usable):
        raise DataError(
            f"{targets.path}: no utterance has an accompaniment, which converting to {last} "
            "needs; add accomp.scp, or choose a model without one"
        )
    own = _partners(recipe, first, last, sources, usable)
    names = sorted(own) if own else list(sources.ids)
    count = min(len(names), recipe.evaluate.max_utterances)
    drawn = sorted(names[index] for index in rng.permutation(len(names))[:count])
    if own:
        return [Pair(sources[name], usable[own[name]]) for name in drawn]
    if recipe.corpus.name is not None and not needed:
        return [Pair(sources[name], None) for name in drawn]
    order = rng.permutation(len(usable))
    return [
        Pair(sources[name], usable[usable.ids[order[index % len(order)]]])
        for index, name in enumerate(drawn)
    ]


def _partners(
    recipe: Recipe, first: str, last: str, sources: DataDir, usable: DataDir
) -> dict[str, str]:
    """Map source utterances to target utterances that say the same, where there are such."""
    if first == last:
        return {}
    data = DataDir.read(recipe.data(recipe.roles[first], recipe.evaluate.split))
    own = {a: b for a, b in data.pairs if a in sources and b in usable}
    if recipe.corpus.name is None or own:
        return own
    if recipe.roles[first] != recipe.roles[last]:  # sentences have names within a corpus
        return {}
    said = {one.sentence: one.id for one in reversed(usable.utterances) if one.sentence is not None}
    return {one.id: said[one.sentence] for one in sources if one.sentence in said}


def shuffle(pairs: Sequence[Pair]) -> list[Pair]:
    """Give every utterance an accompaniment that is another's and not its own.

    Raises:
        DataError: all utterances share one accompaniment.
    """
    targets = [pair.target for pair in pairs]
    result = []
    for index, pair in enumerate(pairs):
        # Half-way round first: neighbours in the order of ids tend to be of one song.
        turns = [(index + len(pairs) // 2 + step) % len(pairs) for step in range(len(pairs))]
        others = [
            other
            for turn in turns
            if (other := targets[turn]) is not None
            and pair.target is not None
            and (other.accomp, other.start) != (pair.target.accomp, pair.target.start)
        ]
        if not others:
            raise DataError(
                f"{pair.source.id}: there is no second accompaniment to shuffle with; hold out "
                "more utterances"
            )
        result.append(Pair(pair.source, others[0]))
    return result


def _reversed(recipe: Recipe, converter: Converter, first: str, last: str) -> list[Pair]:
    """Draw utterances for the other direction, each with its own accompaniment where needed."""
    needed = converter.needs_accompaniment(first)
    sources = role_utterances(recipe, last).subset(lambda one: bool(one.accomp) or not needed)
    rng = np.random.default_rng([recipe.train.seed, 5])
    order = rng.permutation(len(sources))[:REVERSE_UTTERANCES]
    names = sorted(sources.ids[index] for index in order)
    return [Pair(sources[name], sources[name] if needed else None) for name in names]


def _stores(recipe: Recipe, role: str) -> dict[str, FeatureStore]:
    """Open the voice features of a role's held-out split."""
    system = base.family(recipe.family)
    config = build(system.Config, recipe.model, f"{recipe.name}: model")
    corpus, split = recipe.roles[role], recipe.evaluate.split
    return {
        kind: FeatureStore(recipe.dump(corpus, split, kind), recipe.features.of_kind(kind))
        for kind in voice_kinds(system.reads(config))
    }


def _convert_set(recipe: Recipe, converter: Converter, job: Set, nj: int) -> None:
    """Convert one set of utterances into one store per kind, skipping what is there."""
    stores = _stores(recipe, job.role)
    lines = ["utt\tsamples\tlevel_db\n"]
    with ExitStack() as stack:
        writers = {
            kind: stack.enter_context(
                StoreWriter(job.folder / kind, kind, recipe.features.of_kind(kind), job.digest)
            )
            for kind in converter.writes
        }

        def wanted(name: str) -> bool:
            return any(name not in writer.done for writer in writers.values())

        results = _results(recipe, converter, stores, job.pairs, job.request, wanted, nj)
        for one in _progress(results, len(job.pairs), job.folder.name):
            lines.append(f"{one.name}\t{one.samples}\t{one.level_db:.4f}\n")
            _write_time_map(job.times / f"{one.name}.tsv", one, converter)
            for kind, features in one.features.items():
                if one.name not in writers[kind].done:
                    writers[kind].write(one.name, features)
    write_text(job.folder / "outputs.tsv", "".join(lines))
    logger.info("%s: %d utterances to %s", job.folder, len(job.pairs), job.request.to)


def _results(
    recipe: Recipe,
    converter: Converter,
    stores: Mapping[str, FeatureStore],
    pairs: Sequence[Pair],
    request: Request,
    wanted: Callable[[str], bool],
    nj: int,
) -> Iterator[Converted]:
    """Convert utterances in order: here, prepared on threads, or on the cluster in use."""
    if cluster.in_use() is None or not pairs:
        with ThreadPoolExecutor(nj) as threads:
            for one in threads.map(lambda pair: prepare(converter, stores, pair, request), pairs):
                yield convert(converter, one, request, wanted(one.name))
        return
    job = partial(
        WorkerTask,
        recipe.exp.absolute(),
        checkpoint_hash(recipe),
        str(converter.device),
        torch.get_num_threads(),
        places(stores),
        request=request,
    )
    with pool(1) as workers:
        jobs = (job(pair=pair, wanted=wanted(pair.source.id)) for pair in pairs)
        yield from workers.map(work, jobs)


def _write_time_map(path: Path, one: Converted, converter: Converter) -> None:
    seconds = 1 / converter.features.frame_rate
    rows = zip(one.warp.knots_in * seconds, one.warp.knots_out * seconds, strict=True)
    lines = [f"{before:.6f}\t{after:.6f}\n" for before, after in rows]
    write_text(path, "speech_seconds\tconverted_seconds\n" + "".join(lines))


def _write_pairs(path: Path, found: Mapping[Direction, Sequence[Pair]]) -> None:
    rows = {
        way: [(pair.source.id, pair.target.id if pair.target else "") for pair in pairs]
        for way, pairs in found.items()
    }
    directions.write(path, rows)


def _digest(model: str, pairs: Sequence[Pair], request: Request) -> str:
    """Hash what the converted features follow from besides the recipe's settings."""
    ids = [(pair.source.id, pair.target.id if pair.target else "") for pair in pairs]
    text = json.dumps([model, ids, request.to, request.stretch])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _progress(jobs: Iterable[Converted], total: int, name: str) -> Iterator[Converted]:
    from tqdm import tqdm

    yield from tqdm(jobs, total=total, desc=f"infer {name}", unit="utt", disable=None)

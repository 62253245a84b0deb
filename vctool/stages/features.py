"""Stage 2: features of every utterance and F0 statistics of every voice.

    dump/<corpus>/<split>/f0-<hash8>/            F0 of the wide first pass, and stats.json
    dump/<corpus>/<split>/<kind>-<hash8>/        one store per kind (`data.store`)
    dump/<corpus>/<split>/rejected.tsv           utterances without features, with the reason

A voice is a speaker in a domain. Its F0 range comes from the wide pass over the train split;
voices that are only in another split get a pass of their own. Stopped runs resume per utterance.
"""

import hashlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from vctool.data import voice_reach
from vctool.data.atomic import write_text
from vctool.data.datadir import DataDir
from vctool.data.extraction import Task, Workers
from vctool.data.speaker_table import SpeakerTable, Voice
from vctool.data.store import FeatureStore, StoreWriter, clear
from vctool.data.utterance import Utterance
from vctool.errors import DataError
from vctool.experiment import hashes, plan, roles
from vctool.experiment.recipe import Recipe
from vctool.features import base as registry
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats, estimate, f0_range, voiced
from vctool.progress import progress

MOST_LOST = 0.1
"""Maximum share of a split's utterances that may fail; beyond it the stage fails."""

logger = logging.getLogger(__name__)

Key = tuple[str, str]
"""A voice: speaker and domain."""
Ranges = Mapping[Key, tuple[float, float]]
"""F0 search range [Hz] of each voice; voices without a voiced frame are left out."""


def run(
    recipe: Recipe, nj: int = 1, splits: Sequence[str] = plan.SPLITS, fresh: bool = False
) -> None:
    """Compute what later stages read (`plan.kinds`), for every corpus that the recipe names.

    Args:
        recipe: the experiment.
        nj: number of processes; the bytes do not depend on it.
        splits: the splits; those that a corpus lacks, or of which nothing is read later, are
            skipped, except train.
        fresh: compute everything again.

    Raises:
        ConfigError: the corpus lacks the speakers that the recipe names.
        DataError: a data dir is missing or unusable, or more than `MOST_LOST` of its utterances
            failed.
    """
    roles.check(recipe)
    if fresh:
        for path in plan.stores(recipe):
            clear(path)
    kinds = {split: plan.kinds(recipe, split) for split in ("train", *splits)}
    with Workers(nj) as workers:
        for corpus in recipe.corpus.names:
            extract(recipe, corpus, kinds, workers)


def extract(
    recipe: Recipe, corpus: str, wanted: Mapping[str, Sequence[str]], workers: Workers
) -> None:
    """Compute features of one corpus.

    Args:
        recipe: the experiment.
        corpus: the corpus.
        wanted: the kinds of each split; `train` goes first, since it decides the F0 ranges.
        workers: the pool that computes.
    """
    ranges: dict[Key, tuple[float, float]] = {}
    known = SpeakerTable()
    for split, kinds in sorted(wanted.items(), key=lambda item: (item[0] != "train", item[0])):
        if split != "train" and not (kinds and recipe.data(corpus, split).is_dir()):
            continue
        data = DataDir.read(recipe.data(corpus, split), check=False)
        lost: dict[str, str] = {}
        stranger, wide = [], {}
        asked = plan.asks_for_f0(recipe, split, kinds)
        if asked:
            stranger = [one for one in data.utterances if _key(one) not in ranges]
            found = voice_reach.voices_beyond(stranger, recipe.features, workers)
            for line in voice_reach.told(found, recipe.features):
                logger.warning("%s/%s: %s", corpus, split, line)
            wide = _first_pass(recipe, corpus, split, stranger, workers, lost)
            ranges |= _ranges(stranger, wide, recipe.features)
        present = [one for one in data.utterances if one.id not in lost]
        stores = _compute(recipe, corpus, split, kinds, present, ranges, workers, lost)
        _judge(recipe, corpus, split, len(data.utterances), lost)
        if asked:
            known = _table(stranger, _contours(stores, wide), ranges, known)
            _restricted(known, data).write(recipe.stats(corpus, split))
        elif split in ("train", "dev") and not recipe.stats(corpus, split).exists():
            SpeakerTable().write(recipe.stats(corpus, split))  # of no voice; training opens it


def _key(utterance: Utterance) -> Key:
    return utterance.speaker, utterance.domain


def _first_pass(
    recipe: Recipe,
    corpus: str,
    split: str,
    utterances: Sequence[Utterance],
    workers: Workers,
    lost: dict[str, str],
) -> dict[str, np.ndarray]:
    """Estimate F0 in the wide range: contours (F,) [Hz] by utterance."""
    tasks = [Task(one, ("f0",), recipe.features, *recipe.features.wide_range) for one in utterances]
    store = _fill(recipe, corpus, split, ("f0",), tasks, workers, lost)["f0"]
    return {name: store[name][:, 0] for name in store}


def _ranges(
    utterances: Iterable[Utterance], contours: Mapping[str, np.ndarray], config: FeatureConfig
) -> dict[Key, tuple[float, float]]:
    heard: dict[Key, list[np.ndarray]] = defaultdict(list)
    for one in utterances:
        if one.id in contours and len(voiced([contours[one.id]])):
            heard[_key(one)].append(contours[one.id])
    return {key: f0_range(f0s, config) for key, f0s in heard.items()}


def _contours(
    stores: Mapping[str, FeatureStore], wide: Mapping[str, np.ndarray]
) -> Mapping[str, np.ndarray]:
    """Take the F0 of a kind that tracks it in each voice's own range, or else of the wide pass."""
    for kind, store in stores.items():
        column = registry.get(kind).f0_column
        if registry.in_voice_range(kind) and column is not None:
            return {name: store[name][:, column] for name in wide if name in store}
    return wide


def _compute(
    recipe: Recipe,
    corpus: str,
    split: str,
    kinds: Sequence[str],
    utterances: Sequence[Utterance],
    ranges: Ranges,
    workers: Workers,
    lost: dict[str, str],
) -> dict[str, FeatureStore]:
    """Compute the kinds that each utterance can have: accompaniments only where there are some."""
    config = recipe.features
    tasks = []
    for one in utterances:
        own = tuple(kinds) if one.accomp else registry.voice_kinds(kinds)
        tasks.append(Task(one, own, config, *ranges.get(_key(one), config.wide_range)))
    present = [kind for kind in kinds if any(kind in task.kinds for task in tasks)]
    return _fill(recipe, corpus, split, present, tasks, workers, lost)


def _fill(
    recipe: Recipe,
    corpus: str,
    split: str,
    kinds: Sequence[str],
    tasks: Sequence[Task],
    workers: Workers,
    lost: dict[str, str],
) -> dict[str, FeatureStore]:
    """Write the tasks' results into one store per kind, leaving out what is there already."""
    files = (file for task in tasks for file in (task.utterance.wav, *task.utterance.accomp))
    contents = hashes.of_files(files)
    with ExitStack() as stack:
        writers: dict[str, StoreWriter] = {}
        for kind in kinds:
            folder = recipe.dump(corpus, split, kind)
            source = _source(kind, [task for task in tasks if kind in task.kinds], contents)
            writers[kind] = StoreWriter(folder, kind, recipe.features.of_kind(kind), source)
        for kind in sorted(writers):  # recipes that share stores open them in the same order
            stack.enter_context(writers[kind])
        left = [
            task._replace(kinds=missing)
            for task in sorted(tasks, key=lambda task: task.utterance.id.encode())
            if (missing := _missing(task, writers))
        ]
        results = workers.attempt_all(left)
        label = f"{corpus}/{split} {' '.join(kinds)}"
        for result in progress(results, label, len(left)):
            if result.reason:
                logger.warning("%s/%s: %s: %s", corpus, split, result.name, result.reason)
                lost[result.name] = result.reason
            for kind, features in result.features.items():
                writers[kind].write(result.name, features)
    return {kind: FeatureStore(writer.path) for kind, writer in writers.items()}


def _missing(task: Task, writers: Mapping[str, StoreWriter]) -> tuple[str, ...]:
    return tuple(kind for kind in task.kinds if task.utterance.id not in writers[kind].done)


def _source(kind: str, tasks: Iterable[Task], contents: Mapping[Path, str]) -> str:
    """Hash what features are made from: which stretches of which sound, in which F0 ranges."""
    digest = hashlib.sha256()
    for task in tasks:
        one = task.utterance
        parts: list[object] = [one.id, one.start, one.end, one.channel, contents[one.wav]]
        if registry.of_accompaniment(kind):
            parts += [one.accomp_channel, *(contents[path] for path in one.accomp)]
        if registry.in_voice_range(kind):
            parts += [task.f0_floor, task.f0_ceil]
        digest.update(json.dumps(parts).encode() + b"\n")
    return digest.hexdigest()[:16]


def _judge(recipe: Recipe, corpus: str, split: str, total: int, lost: Mapping[str, str]) -> None:
    """List the utterances that failed; fail if there are too many."""
    report = recipe.dump(corpus, split, "f0").parent / "rejected.tsv"
    if not lost:
        report.unlink(missing_ok=True)
        return
    rows = [f"{name}\t{lost[name]}\n" for name in sorted(lost, key=str.encode)]
    write_text(report, "utt\treason\n" + "".join(rows))
    if len(lost) == total or len(lost) > MOST_LOST * total:
        reason, _ = Counter(lost.values()).most_common(1)[0]
        raise DataError(
            f"{recipe.data(corpus, split)}: {len(lost)} of {total} utterances have no features, "
            f"such as {next(iter(lost))} ({reason}); all are named in {report}"
        )


def _table(
    utterances: Iterable[Utterance],
    contours: Mapping[str, np.ndarray],
    ranges: Ranges,
    known: SpeakerTable,
) -> SpeakerTable:
    """Add the voices of these utterances to the table."""
    heard: dict[Key, list[np.ndarray]] = defaultdict(list)
    for one in utterances:
        if one.id in contours:
            heard[_key(one)].append(contours[one.id])
    voices = {(voice.speaker, voice.domain): voice for voice in known.voices}
    for key, f0s in heard.items():
        stats = _estimate(f0s, *ranges[key]) if key in ranges else None
        if stats is None:
            logger.warning("%s (%s): no voiced frame, so no F0 statistics", *key)
        else:
            voices[key] = Voice(speaker=key[0], domain=key[1], stats=stats)
    return SpeakerTable(voices=tuple(voices[key] for key in sorted(voices)))


def _estimate(f0s: Sequence[np.ndarray], floor: float, ceil: float) -> SpeakerStats | None:
    frames = voiced(f0s)
    inside = (frames >= floor) & (frames <= ceil)
    return estimate(f0s, floor, ceil) if inside.any() else None


def _restricted(table: SpeakerTable, data: DataDir) -> SpeakerTable:
    """Keep the voices of a data dir."""
    present = {_key(one) for one in data.utterances}
    kept = (voice for voice in table.voices if (voice.speaker, voice.domain) in present)
    return SpeakerTable(voices=tuple(kept))

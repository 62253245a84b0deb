"""Stage 5: turn converted features into sound, as loud as their sources.

    exp/<name>/infer/matched/    ->  exp/<name>/wav/<utt>.wav
    exp/<name>/infer/shuffled/   ->  exp/<name>/wav_shuffled/<utt>.wav
    exp/<name>/infer/to_speech/  ->  exp/<name>/wav_to_speech/<utt>.wav
    exp/<name>/infer/a_to_b/     ->  exp/<name>/wav/a_to_b/<utt>.wav, of three roles and more

A file that is there is complete, so a stopped run continues where it was. Every store is opened
once, here; processes are told where the features of their utterances lie.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from vctool import audio, vocoders
from vctool.data.store import Entry, FeatureStore
from vctool.errors import DataError
from vctool.experiment import directions
from vctool.experiment.recipe import Recipe
from vctool.features.settings import FeatureConfig
from vctool.workers import AHEAD, in_order, pool, together

logger = logging.getLogger(__name__)

FEW = 4
"""Utterances that are not worth starting processes for."""


class Task(NamedTuple):
    """One utterance to synthesise."""

    features: dict[str, Entry]
    """Where its features lie, by kind."""
    target: Path
    samples: int
    level_db: float
    vocoder: str
    """A name, or an absolute path."""
    config: FeatureConfig


def run(recipe: Recipe, nj: int = 1) -> None:
    """Synthesise everything that stage 4 converted.

    Args:
        recipe: the experiment.
        nj: number of processes; the sound does not depend on it.

    Raises:
        DataError: stage 4 has not finished.
        ConfigError: the vocoder does not accept the features.
    """
    infer = recipe.exp.absolute() / "infer"  # workers elsewhere have another current folder
    if not (infer / "pairs.tsv").is_file():
        raise DataError(f"{infer}: nothing converted yet; run stage 4 (infer)")
    ways = {one.features.name: one.sounds for one in directions.of(recipe)}
    tasks = [
        task
        for table in sorted(infer.glob("*/outputs.tsv"))
        for task in _tasks(recipe, table, ways)
    ]
    if tasks:
        chosen = vocoders.get(recipe.vocoder, recipe.features)
        chosen.accepts(recipe.features, sorted(tasks[0].features))
    total = len(tasks)
    for _ in _progress(_results(tasks, nj), total):
        pass
    (recipe.exp / "wav").mkdir(parents=True, exist_ok=True)
    logger.info("%s: %d sounds written", recipe.exp / "wav", total)


def _tasks(recipe: Recipe, table: Path, ways: Mapping[str, Path]) -> Iterator[Task]:
    """Say what is missing of one set's sound; `ways` are the places of the sets that are scored."""
    folder = table.parent
    sounds = folder.parent.parent / ways.get(folder.name, Path(f"wav_{folder.name}"))
    rows = [line.split("\t") for line in table.read_text("utf-8").splitlines()[1:]]
    missing = [row for row in rows if not (sounds / f"{row[0]}.wav").is_file()]
    vocoder = vocoders.absolute(recipe.vocoder)
    stores = [FeatureStore(path.parent) for path in folder.glob("*/feats.scp")] if missing else []
    for name, samples, level in missing:
        features = {store.kind: store.entry(name) for store in stores}
        target = sounds / f"{name}.wav"
        yield Task(features, target, int(samples), float(level), vocoder, recipe.features)


def synthesise(task: Task) -> None:
    """Synthesise and write one utterance."""
    features = {kind: entry.read() for kind, entry in task.features.items()}
    wave = vocoders.get(task.vocoder, task.config).synthesise(features, task.config, task.samples)
    audio.write(
        task.target, audio.match_level(wave, task.config.rate, task.level_db), task.config.rate
    )


def _results(tasks: list[Task], nj: int) -> Iterator[None]:
    if together(nj, len(tasks), FEW):
        yield from map(synthesise, tasks)
        return
    with pool(min(nj, len(tasks)), start=_one_thread) as workers:
        yield from in_order(workers, synthesise, tasks, AHEAD * workers.processes)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _progress(results: Iterable[None], total: int) -> Iterable[None]:
    from tqdm import tqdm

    bar: Iterable[None] = tqdm(results, total=total, desc="synthesize", unit="utt", disable=None)
    return bar

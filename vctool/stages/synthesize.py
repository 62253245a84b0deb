"""Stage 5: turn converted features into sound, as loud as their sources.

    exp/<name>/infer/matched/    ->  exp/<name>/wav/<utt>.wav
    exp/<name>/infer/shuffled/   ->  exp/<name>/wav_shuffled/<utt>.wav
    exp/<name>/infer/to_speech/  ->  exp/<name>/wav_to_speech/<utt>.wav
    exp/<name>/infer/a_to_b/     ->  exp/<name>/wav/a_to_b/<utt>.wav, of three roles and more

Existing files are complete, so a stopped run continues where it was. Every store is opened once,
here; worker processes get the locations of their utterances' features.
"""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from vctool import audio, vocoders
from vctool.data.store import Entry, FeatureStore
from vctool.errors import DataError
from vctool.experiment import directions, written
from vctool.experiment.recipe import Recipe
from vctool.features.settings import FeatureConfig
from vctool.progress import progress
from vctool.workers import Workers

logger = logging.getLogger(__name__)


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
    exp = recipe.exp.absolute()  # workers elsewhere have another current folder
    if not directions.table(exp).is_file():
        raise DataError(f"{exp / 'infer'}: nothing converted yet; run stage 4 (infer)")
    sounds = list(_sounds(recipe, exp))
    written.note(exp, "synthesize", (one.target for one in sounds))
    tasks = list(_tasks(recipe, sounds))
    if tasks:
        chosen = vocoders.get(recipe.vocoder, recipe.features)
        chosen.accepts(recipe.features, sorted(tasks[0].features))
        lacking = vocoders.of_source(chosen.reads, list(tasks[0].features))
        if lacking:
            raise DataError(
                f"{exp / 'infer'}: no {' and '.join(lacking)} of the sources, which "
                f"{recipe.vocoder} takes; run stage 4 (infer) again"
            )
    with Workers(min(nj, len(tasks)), start=_one_thread) as workers:
        for _ in progress(workers.map(synthesise, tasks), "synthesize", len(tasks)):
            pass
    (recipe.exp / "wav").mkdir(parents=True, exist_ok=True)
    logger.info("%s: %d sounds written", recipe.exp / "wav", len(tasks))


class Sound(NamedTuple):
    """What stage 4 says about an output: length and loudness."""

    folder: Path
    """Folder with a store per kind."""
    name: str
    target: Path
    samples: int
    level_db: float

    def is_there(self) -> bool:
        """Tell whether it is written; a file that a power cut left empty is not."""
        return self.target.is_file() and self.target.stat().st_size > 2 * self.samples


def _sounds(recipe: Recipe, exp: Path) -> Iterator[Sound]:
    """Read the tables of outputs of all sets."""
    for features, sounds in sorted(directions.sets(recipe).items()):
        table = exp / features / "outputs.tsv"
        lines = table.read_text("utf-8").splitlines()[1:] if table.is_file() else []
        for name, samples, level in (line.split("\t") for line in lines):
            target = exp / sounds / f"{name}.wav"
            yield Sound(table.parent, name, target, int(samples), float(level))


def _tasks(recipe: Recipe, sounds: Iterable[Sound]) -> Iterator[Task]:
    """List the outputs that are still missing, with the locations of their features."""
    vocoder = vocoders.absolute(recipe.vocoder)
    opened: dict[Path, list[FeatureStore]] = {}
    for one in sounds:
        if one.is_there():
            continue
        if one.folder not in opened:
            found = sorted(one.folder.glob("*/feats.scp"))
            opened[one.folder] = [FeatureStore(path.parent) for path in found]
        features = {store.kind: store.entry(one.name) for store in opened[one.folder]}
        yield Task(features, one.target, one.samples, one.level_db, vocoder, recipe.features)


def synthesise(task: Task) -> None:
    """Synthesise and write one utterance."""
    features = {kind: entry.read() for kind, entry in task.features.items()}
    wave = vocoders.get(task.vocoder, task.config).synthesise(features, task.config, task.samples)
    audio.write(
        task.target, audio.match_level(wave, task.config.rate, task.level_db), task.config.rate
    )


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)

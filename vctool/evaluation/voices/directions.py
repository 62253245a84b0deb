"""Scores of an experiment of many voices: a whole report for every direction, and one of all.

    exp/<name>/<source>_to_<target>/RESULTS.md  results.json  utterances.tsv  report.html  plots/
    exp/<name>/RESULTS.md  results.json  utterances.tsv  report.html  plots/

Directions share what they have in common: recordings are read and analysed once, speakers fitted
once, and judges asked once about a recording, whatever the number of directions it stands in.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from vctool.cache import Cache, key_of
from vctool.data.utterance import Utterance
from vctool.evaluation import outputs
from vctool.evaluation.board import JUDGED
from vctool.evaluation.parallel import workers
from vctool.evaluation.voices import (
    baselines,
    report,
)
from vctool.evaluation.voices import (
    mean as overview,
)
from vctool.evaluation.voices import (
    run as voice,
)
from vctool.evaluation.voices.baselines import FEATURES, Formula, Speaker
from vctool.evaluation.voices.board import VoiceTask
from vctool.experiment import directions
from vctool.experiment.directions import Direction
from vctool.experiment.recipe import Recipe
from vctool.features.stats import SpeakerStats
from vctool.metrics.base import Each
from vctool.metrics.voice_analysis import VoiceAnalysis, analyse

logger = logging.getLogger(__name__)

KEPT = 1000
"""Analyses kept in memory; one of three seconds takes a quarter of a megabyte."""


def run(recipe: Recipe, nj: int = 1) -> None:
    """Score an experiment with three roles or more; see `vctool.stages.evaluate.run`."""
    ways = directions.of(recipe)
    for way, rows in directions.read(recipe.exp, ways).items():  # before the first takes minutes
        outputs.require(recipe.exp / way.sounds, [name for name, _ in rows])
    found: list[overview.Outcome] = []
    with shared(recipe, nj) as common:
        for way in ways:
            logger.info("%s, %d of %d", way.title, len(found) + 1, len(ways))
            found.append(_score(recipe, way, common, nj))
    overview.write(recipe, found)


def _score(recipe: Recipe, way: Direction, common: "Common", nj: int) -> overview.Outcome:
    """Write the report of one direction, and keep of it what the overview needs."""
    held = voice.select(recipe, way)
    task = voice.load_task(held, recipe.features.rate, common.load)
    job = replace(voice.describe(recipe, way, held, task), formula=common.formula(way, held, task))
    scored = report.score(job, nj, common.analyse, common.each)
    return overview.outcome(way, job, scored)


@contextmanager
def shared(recipe: Recipe, nj: int) -> Iterator["Common"]:
    """Open what directions have in common; its processes end with the context."""
    with workers(nj) as each:
        yield Common(recipe, each)


class Common:
    """What directions have in common.

    Args:
        recipe: the experiment.
        each: applies functions to waves, on processes where it has any.
    """

    def __init__(self, recipe: Recipe, each: Each) -> None:
        self.recipe = recipe
        self.each = each
        self._waves: dict[Utterance, np.ndarray] = {}
        self._analyses: OrderedDict[str, VoiceAnalysis] = OrderedDict()
        self._speakers: dict[str, Speaker] = {}

    def load(self, one: Utterance) -> np.ndarray:
        """Read a recording once: (T,) at the recipe's rate."""
        if one not in self._waves:
            self._waves[one] = one.load(self.recipe.features.rate)
        return self._waves[one]

    def analyse(self, waves: Sequence[np.ndarray], rate: int) -> list[VoiceAnalysis]:
        """Analyse those waves that were not analysed lately."""
        keys = [key_of(wave, rate) for wave in waves]
        new = {
            key: wave for key, wave in zip(keys, waves, strict=True) if key not in self._analyses
        }
        found_now = self.each(partial(analyse, rate=rate), list(new.values()))
        made = dict(zip(new, found_now, strict=True))
        found = []
        for key in keys:
            if key in self._analyses:
                self._analyses.move_to_end(key)
            else:
                self._analyses[key] = made[key]
            found.append(self._analyses[key])
        while len(self._analyses) > KEPT:
            self._analyses.popitem(last=False)
        return found

    def formula(self, way: Direction, held: voice.HeldOutVoices, task: VoiceTask) -> Formula:
        """Return the anchors of a direction; either speaker is fitted once for all."""
        sides = (
            (way.source, held.source_training, task.source_training),
            (way.target, held.target_training, task.target_training),
        )
        for role, group, waves in sides:
            if role not in self._speakers:
                stored = voice.stored_speaker(self.recipe, role, group)
                self._speakers[role] = stored or self._fit(role, waves, task.rate)
        return Formula(self._speakers[way.source], self._speakers[way.target])

    def _fit(self, role: str, waves: Sequence[np.ndarray], rate: int) -> Speaker:
        """Fit a speaker, or read back what was found in these very recordings before."""

        def fit(joined: Sequence[np.ndarray], rate: int) -> np.ndarray:
            return _packed(baselines.fit_speaker(waves, rate, self.each))[None]

        judge = f"anchors of a speaker, recordings of {[len(wave) for wave in waves]}: {FEATURES}"
        cache = Cache(Path("dump") / self.recipe.roles[role] / JUDGED)
        return _unpacked(cache.of_waves(judge, [np.concatenate(waves)], rate, fit)[0])


def _packed(who: Speaker) -> np.ndarray:
    return np.concatenate([list(who.f0.model_dump().values()), who.mean, who.deviation])


def _unpacked(vector: np.ndarray) -> Speaker:
    """Turn what `_packed` made back into a speaker."""
    fields = list(SpeakerStats.model_fields)
    values = dict(zip(fields, vector.tolist(), strict=False))
    mean, deviation = np.split(vector[len(fields) :], 2)
    return Speaker(SpeakerStats.model_validate(values), mean, deviation)

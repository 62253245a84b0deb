"""Data that the directions of an experiment share, read and computed once.

Recordings are read and analysed once, speakers fitted once, and judges asked once about a
recording, whatever the number of directions it stands in.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from vctool.cache import Cache, key_of
from vctool.data.datadir import DataDir
from vctool.data.utterance import Utterance
from vctool.evaluation.board import JUDGED
from vctool.evaluation.parallel import workers
from vctool.evaluation.voices import neighbours
from vctool.evaluation.voices.baselines import (
    FEATURES,
    Formula,
    Resyntheses,
    Speaker,
    build,
    fit_speaker,
)
from vctool.evaluation.voices.board import VoiceTask
from vctool.evaluation.voices.selection import HeldOutVoices, stored_speaker
from vctool.experiment.directions import Direction
from vctool.experiment.recipe import Recipe
from vctool.features.stats import SpeakerStats
from vctool.metrics.base import Each
from vctool.metrics.voice_analysis import VoiceAnalysis, analyse
from vctool.models.base import Reference

KEPT = 1000
"""Analyses kept in memory; one of three seconds takes a quarter of a megabyte."""


@contextmanager
def shared(recipe: Recipe, nj: int) -> Iterator["Shared"]:
    """Open the shared data; its processes end with the context."""
    with workers(nj) as each:
        yield Shared(recipe, each)


class Shared:
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
        self._data: dict[Path, DataDir] = {}
        self._known: dict[str, Reference] = {}
        self._resyntheses = Resyntheses(recipe.features.rate, each)

    def read(self, path: Path) -> DataDir:
        """Read a data dir once."""
        if path not in self._data:
            self._data[path] = DataDir.read(path)
        return self._data[path]

    def load(self, one: Utterance) -> np.ndarray:
        """Read a recording once: (T,) at the recipe's rate."""
        if one not in self._waves:
            self._waves[one] = one.load(self.recipe.features.rate)
        return self._waves[one]

    def analyse(self, waves: Sequence[np.ndarray], rate: int) -> list[VoiceAnalysis]:
        """Analyse the waves that are not in the cache."""
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

    def baselines(
        self, way: Direction, held: HeldOutVoices, task: VoiceTask
    ) -> dict[str, list[np.ndarray]]:
        """Make the waves of a direction's baselines; resyntheses are made once for all."""
        formula = self._formula(way, held, task)
        return build(task.sources, task.targets, task.rate, formula, self.each, self._resyntheses)

    def nearest(self, way: Direction, held: HeldOutVoices, task: VoiceTask) -> list[np.ndarray]:
        """Make the waves of the row `knn_vc`; a target's recordings are analysed once for all."""
        voices = self._formula(way, held, task)
        if way.target not in self._known:
            training = task.target_training
            found = neighbours.known_of(training, task.rate, voices.target.f0_range, self.each)
            self._known[way.target] = found
        known, f0_range = self._known[way.target], voices.source.f0_range
        return neighbours.build_row(task.sources, task.rate, f0_range, known, self.each)

    def _formula(self, way: Direction, held: HeldOutVoices, task: VoiceTask) -> Formula:
        """Return the formulas of a direction; either speaker is fitted once for all."""
        sides = (
            (way.source, held.source_training, task.source_training),
            (way.target, held.target_training, task.target_training),
        )
        for role, group, waves in sides:
            if role not in self._speakers:
                stored = stored_speaker(self.recipe, role, group)
                self._speakers[role] = stored or self._fit(role, waves, task.rate)
        return Formula(self._speakers[way.source], self._speakers[way.target])

    def _fit(self, role: str, waves: Sequence[np.ndarray], rate: int) -> Speaker:
        """Fit a speaker, or read the cached fit of the same recordings."""

        def fit(joined: Sequence[np.ndarray], rate: int) -> np.ndarray:
            return _packed(fit_speaker(waves, rate, self.each))[None]

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

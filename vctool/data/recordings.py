"""Whole recordings as the one batch of systems that are set up and learn nothing more."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vctool.data.feature_set import FeatureSet
from vctool.features.base import Features


class Recordings:
    """All that a role says, as the one batch that `setup` takes."""

    def __init__(self, sets: Mapping[str, FeatureSet], kinds: Sequence[str]) -> None:
        self._sets, self._kinds = sets, kinds

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> dict[str, Iterator[Features]]:
        """Return the features of every utterance of a role, by role; each is loaded when needed."""
        return {role: self._utterances(held) for role, held in self._sets.items()}

    def names(self, step: int) -> list[str]:
        """Return the ids of all utterances."""
        return [name for held in self._sets.values() for name in held.ids]

    def _utterances(self, held: FeatureSet) -> Iterator[Features]:
        # in an order that has nothing to do with names, as only the first may be kept
        for index in np.random.default_rng(0).permutation(len(held.ids)):
            yield {kind: held.load(held.ids[index], kind) for kind in self._kinds}

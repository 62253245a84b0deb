"""Selects the held-out utterances to convert and pairs each with a target utterance.

The pair gives the accompaniment that the utterance is converted under. If the corpus has pairs,
these are used; otherwise a held-out target utterance is drawn with the recipe's seed. If roles are
speakers of a corpus, an utterance is paired with the target's recording of the same sentence
(`utt2sentence`); if no sentence is shared, utterances have no pair. Families whose only targets are
recordings convert the triplets of the split instead (`triplets`).
"""

from collections.abc import Sequence
from itertools import islice, zip_longest
from typing import NamedTuple

import numpy as np

from vctool.data.datadir import DataDir, Triplet
from vctool.data.store import Entry, FeatureStore
from vctool.data.utterance import Utterance
from vctool.errors import DataError
from vctool.experiment import plan
from vctool.experiment.recipe import Recipe

REVERSE_UTTERANCES = 10
"""Most utterances converted in reverse, from the target to the source, for listening."""


class Pair(NamedTuple):
    """A source utterance and the utterance whose accompaniment it is converted under."""

    source: Utterance
    target: Utterance | None
    style: Utterance | None = None
    """The utterance that is the model's reference; None where it converts to a role."""
    name: str | None = None
    """Its own name, where one source is converted several times."""

    @property
    def id(self) -> str:
        """The name of its output."""
        return self.source.id if self.name is None else self.name


class HeldOut:
    """The held-out data of a recipe: each data dir is read once, each store opened once.

    Args:
        recipe: the experiment; `evaluate.split` says which split is held out.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._kinds = plan.sources(recipe)
        self._data: dict[str, DataDir] = {}
        self._stores: dict[str, dict[str, FeatureStore]] = {}
        self._roles: dict[str, DataDir] = {}

    def data(self, role: str) -> DataDir:
        """Return all held-out data of a role's corpus."""
        corpus = self._recipe.roles[role]
        if corpus not in self._data:
            path = self._recipe.data(corpus, self._recipe.evaluate.split)
            self._data[corpus] = DataDir.read(path)
        return self._data[corpus]

    def stores(self, role: str) -> dict[str, FeatureStore]:
        """Return the voice features of a role's corpus, by kind."""
        recipe, corpus = self._recipe, self._recipe.roles[role]
        if corpus not in self._stores:
            split = recipe.evaluate.split
            self._stores[corpus] = {
                kind: FeatureStore(recipe.dump(corpus, split, kind), recipe.features.of_kind(kind))
                for kind in self._kinds
            }
        return self._stores[corpus]

    def features(self, role: str, name: str) -> dict[str, Entry]:
        """Return the store entries of an utterance's voice features, by kind."""
        return {kind: store.entry(name) for kind, store in self.stores(role).items()}

    def of(self, role: str) -> DataDir:
        """Return the utterances of a role that have features.

        Raises:
            DataError: there are none.
        """
        if role not in self._roles:
            data, stores = self.data(role), self.stores(role).values()
            plays = self._recipe.plays(role)
            held = data.subset(lambda one: plays(one) and all(one.id in store for store in stores))
            if not len(held):
                raise DataError(
                    f"{data.path}: no utterance of role '{role}' with features; run stage 2"
                )
            self._roles[role] = held
        return self._roles[role]


def choose(recipe: Recipe, held: HeldOut, first: str, last: str, needed: bool) -> list[Pair]:
    """Draw the utterances to score, each with its pair.

    Args:
        recipe: the experiment: its seed, and `evaluate.max_utterances`, the most drawn.
        held: the held-out data.
        first: the source role.
        last: the target role.
        needed: whether the conversion takes an accompaniment.

    Raises:
        DataError: a role has nothing held out, or no target utterance has an accompaniment.
    """
    rng = np.random.default_rng([recipe.train.seed, 4])
    sources, targets = held.of(first), held.of(last)
    usable = targets.subset(lambda one: bool(one.accomp) or not needed)
    if not len(usable):
        raise DataError(
            f"{targets.path}: no utterance has an accompaniment, which converting to {last} "
            "needs; add accomp.scp, or choose a model without one"
        )
    own = _partners(recipe, held, first, last, usable)
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


def triplets(recipe: Recipe, held: HeldOut) -> list[Pair]:
    """Draw the triplets to score, the target of each as the utterance that it goes with.

    As many are drawn of every group with one and with several voices, up to
    `evaluate.max_utterances` in all; by the seed alone.

    Args:
        recipe: the experiment.
        held: the held-out data.

    Raises:
        DataError: the split has no triplets.
    """
    first = next(iter(recipe.roles))
    found = held.of(first)
    if not found.triplets:
        raise DataError(
            f"{found.path}: no triplets.tsv with features, and {recipe.family} converts triplets; "
            "take a corpus that has them, such as tones, or prepare it again"
        )
    cells: dict[tuple[str, str], list[Triplet]] = {}
    for one in found.triplets:
        cells.setdefault((one.group, one.voices), []).append(one)
    rng = np.random.default_rng([recipe.train.seed, 4])
    orders = [
        [own[index] for index in rng.permutation(len(own))] for _, own in sorted(cells.items())
    ]
    turns = (one for row in zip_longest(*orders) for one in row if one is not None)
    drawn = sorted(islice(turns, recipe.evaluate.max_utterances))
    return [Pair(found[one.content], found[one.target], found[one.style], one.id) for one in drawn]


def _partners(
    recipe: Recipe, held: HeldOut, first: str, last: str, usable: DataDir
) -> dict[str, str]:
    """Map source utterances to target utterances: pairs of the corpus, or the same sentence."""
    if first == last:
        return {}
    sources = held.of(first)
    own = {a: b for a, b in held.data(first).pairs if a in sources and b in usable}
    if recipe.corpus.name is None or own:
        return own
    if recipe.roles[first] != recipe.roles[last]:  # sentence names are unique to a corpus
        return {}
    said = {one.sentence: one.id for one in reversed(usable.utterances) if one.sentence is not None}
    return {one.id: said[one.sentence] for one in sources if one.sentence in said}


def shuffle(pairs: Sequence[Pair]) -> list[Pair]:
    """Give every utterance the accompaniment of another pair, different from its own.

    Args:
        pairs: utterances, each with the utterance whose accompaniment it is converted under.

    Raises:
        DataError: all utterances share one accompaniment.
    """
    targets = [pair.target for pair in pairs if pair.target is not None]
    assert len(targets) == len(pairs), "only what has accompaniments can be shuffled"
    heard = [(one.accomp, one.start) for one in targets]
    count = len(pairs)
    # Index of the next pair, cyclically, with another accompaniment; filled from the end.
    following = [0] * count
    for place in reversed(range(2 * count)):
        here, after = place % count, (place + 1) % count
        following[here] = after if heard[after] != heard[here] else following[after]
    result = []
    for index, pair in enumerate(pairs):
        # Try the pair half-way round first: neighbours in id order tend to be of one song.
        turn = (index + count // 2) % count
        if heard[turn] == heard[index]:
            turn = following[turn]
        if heard[turn] == heard[index]:
            raise DataError(
                f"{pair.source.id}: there is no second accompaniment to shuffle with; hold out "
                "more utterances"
            )
        result.append(Pair(pair.source, targets[turn]))
    return result


def opposite(recipe: Recipe, held: HeldOut, last: str, needed: bool) -> list[Pair]:
    """Draw target utterances for the reverse direction, with their own accompaniment.

    Args:
        recipe: the experiment: its seed, and `evaluate.max_utterances`, where that is less than
            `REVERSE_UTTERANCES`.
        held: the held-out data.
        last: the target role, whose utterances are drawn.
        needed: whether the reverse direction takes an accompaniment.
    """
    sources = held.of(last).subset(lambda one: bool(one.accomp) or not needed)
    rng = np.random.default_rng([recipe.train.seed, 5])
    count = min(REVERSE_UTTERANCES, recipe.evaluate.max_utterances)
    order = rng.permutation(len(sources))[:count]
    names = sorted(sources.ids[index] for index in order)
    return [Pair(sources[name], sources[name] if needed else None) for name in names]

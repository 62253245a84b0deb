"""Training batches: fixed-length clips of several roles, drawn without any pairing.

Here, and nowhere else, the (F, D) arrays of a dump become the (B, D, F) tensors of a network.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vctool.data.feature_set import FeatureSet
from vctool.data.sampling import generator, share
from vctool.errors import DataError

KEPT_BYTES = 1 << 30
"""Prepared channels kept in memory, for voices and for accompaniments each [bytes]."""


class Clips(NamedTuple):
    """Clips of one role."""

    voice: Tensor
    """(B, C, F) channels of the voice."""
    condition: Tensor
    """(B, K, F) channels of the accompaniment; K is 0 where there is none."""
    key: Tensor
    """(B,) int64; seeds the noise that belongs to each clip."""


@dataclass(frozen=True)
class Role:
    """Where the clips of one role come from."""

    utterances: FeatureSet
    """The voices."""
    accompaniments: FeatureSet | None = None
    """Utterances whose accompaniments are drawn at random; None: each voice's own."""


Prepare = Callable[[FeatureSet, str], np.ndarray]
"""(utterances, id) to the channels of one utterance, (F, C) float32."""


class UnpairedClips:
    """Clips of every role, each role drawn independently of the others.

    Utterances are drawn in proportion to their length, and the place of the clip uniformly, so
    every frame is equally likely. Utterances shorter than a clip are extended by reflection.

    Args:
        roles: what to draw from, by role.
        voice: how an utterance's channels are made; made once and kept.
        condition: how an accompaniment's channels are made, or None where there is none.
        frames: clip length [frames].
        batch_size: clips of each role in a global batch.
        seed: seed of everything drawn.
        setup_clips: least number of clips of each role that `setup_batch` draws.
        roles_per_batch: roles in one batch; all where None, or where there are no more. Over
            every N batches of N roles, each role is drawn equally often.
        always: roles that are in every batch, before those that are drawn.
    """

    def __init__(
        self,
        roles: Mapping[str, Role],
        voice: Prepare,
        condition: Prepare | None,
        frames: int,
        batch_size: int,
        seed: int,
        setup_clips: int = 128,
        roles_per_batch: int | None = None,
        always: Sequence[str] = (),
    ) -> None:
        for role, source in roles.items():
            if not source.utterances.ids:
                raise DataError(f"no utterances of role '{role}' in {source.utterances.path}")
        self.roles = dict(roles)
        self.frames = frames
        self.batch_size = batch_size
        self.seed = seed
        self.setup_clips = setup_clips
        self.roles_per_batch = min(roles_per_batch or len(roles), len(roles))
        self.always = list(always)
        assert len(self.always) <= self.roles_per_batch, (always, roles_per_batch)
        self._voice = Memo(voice)
        self._condition = Memo(condition) if condition is not None else None

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> dict[str, Clips]:
        """Return this process's share of the global batch of a step, by role."""
        part = share(self.batch_size, rank, world_size)
        return self._draw(step, range(self.batch_size)[part], self._drawn(step))

    def setup_batch(self) -> dict[str, Clips]:
        """Return a larger batch, from which data-dependent buffers are initialised."""
        return self._draw(-1, range(max(self.setup_clips, self.batch_size)), list(self.roles))

    def names(self, step: int) -> list[str]:
        """Return the ids of the utterances in the global batch of a step."""
        return [
            utterance
            for index, role in enumerate(self.roles)
            if role in self._drawn(step)
            for example in range(self.batch_size)
            for utterance in self._choose(index, role, step, example)[:1]
        ]

    def _drawn(self, step: int) -> list[str]:
        """Name the roles of a step: a stretch of a ring that is shuffled every N steps."""
        if self.roles_per_batch == len(self.roles):
            return list(self.roles)
        names = [role for role in self.roles if role not in self.always]
        count = self.roles_per_batch - len(self.always)
        turn, place = divmod(step, len(names))
        ring = generator(self.seed, turn, 2).permutation(len(names))
        drawn = ring[(place * count + np.arange(count)) % len(names)]
        return [*self.always, *(names[index] for index in drawn)]

    def _draw(self, step: int, examples: Sequence[int], drawn: list[str]) -> dict[str, Clips]:
        index = {role: place for place, role in enumerate(self.roles)}
        return {role: self._clips(index[role], role, step, examples) for role in drawn}

    def _clips(self, index: int, role: str, step: int, examples: Sequence[int]) -> Clips:
        voices, conditions, keys = [], [], []
        source = self.roles[role]
        for example in examples:
            own, place, other, other_place = self._choose(index, role, step, example)
            voices.append(clip(self._voice(source.utterances, own), place, self.frames))
            if self._condition is not None:
                if source.accompaniments is None:
                    channels = self._condition(source.utterances, own)
                    conditions.append(clip(channels, place, self.frames))
                else:
                    channels = self._condition(source.accompaniments, other)
                    conditions.append(clip(channels, other_place, self.frames))
            keys.append(int(generator(self.seed, step + 1, index, example, 1).integers(1 << 62)))
        empty = torch.zeros(len(voices), 0, self.frames)
        return Clips(
            voice=stack(voices),
            condition=stack(conditions) if conditions else empty,
            key=torch.tensor(keys, dtype=torch.int64),
        )

    def _choose(
        self, index: int, role: str, step: int, example: int
    ) -> tuple[str, float, str, float]:
        """Choose a voice, its place, an accompaniment and its place; places lie in [0, 1)."""
        random = generator(self.seed, step + 1, index, example, 0)
        source = self.roles[role]
        own = _by_length(source.utterances, random)
        place = float(random.random())
        other = _by_length(source.accompaniments, random) if source.accompaniments else own
        return own, place, other, float(random.random())


class Memo:
    """Keep the channels of utterances once made: the second epoch of a small corpus makes none.

    Of a corpus larger than `KEPT_BYTES` the most recently used stay.
    """

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._kept: OrderedDict[tuple[int, str], np.ndarray] = OrderedDict()
        self._bytes = 0

    def __call__(self, utterances: FeatureSet, name: str) -> np.ndarray:
        """Return the channels of an utterance, (F, C) float32."""
        key = (id(utterances), name)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        made = np.ascontiguousarray(self._prepare(utterances, name), np.float32)
        self._kept[key] = made
        self._bytes += made.nbytes
        while self._bytes > KEPT_BYTES and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return made


def _by_length(utterances: FeatureSet, random: np.random.Generator) -> str:
    ends = utterances.cumulative_frames
    return utterances.ids[int(np.searchsorted(ends, random.integers(ends[-1]), side="right"))]


def clip(channels: np.ndarray, place: float, frames: int) -> np.ndarray:
    """Cut (F, C) to (frames, C) at a place in [0, 1)."""
    spare = len(channels) - frames
    if spare < 0:
        return np.pad(channels, ((0, -spare), (0, 0)), mode="symmetric")
    start = int(place * (spare + 1))
    return channels[start : start + frames]


def stack(clips: list[np.ndarray]) -> Tensor:
    """Turn clips (F, C) of one shape into (B, C, F)."""
    return torch.from_numpy(np.stack(clips).swapaxes(1, 2).copy())

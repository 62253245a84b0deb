"""The utterances of a split with their features: what training and scoring draw from."""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from vctool.data.datadir import DataDir
from vctool.data.speaker_table import SpeakerTable
from vctool.data.store import FeatureStore
from vctool.data.utterance import Utterance
from vctool.errors import DataError
from vctool.features.base import voice_kinds
from vctool.features.stats import SpeakerStats

CACHE_BYTES = 512 << 20
"""Features kept in memory by one set and its subsets."""


class _Cache:
    """Least recently used arrays, up to a number of bytes; shared between threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[tuple[str, str], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> np.ndarray | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple[str, str], array: np.ndarray) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = array
            self._size += array.nbytes
            while self._size > self._limit:
                self._size -= self._kept.popitem(last=False)[1].nbytes


class FeatureSet:
    """Utterances that have features, in bytewise order of their ids.

    An utterance belongs to the set if every kind of the voice holds it; those of the accompaniment
    may lack it.

    Args:
        utterances: what is known of each.
        stores: by kind, a `FeatureStore` or any mapping of ids to (F, D) float32 arrays.
        path: where the data dir is, for messages.
        table: F0 statistics of the voices.

    Raises:
        DataError: two kinds disagree about the frames of an utterance.
    """

    def __init__(
        self,
        utterances: Iterable[Utterance],
        stores: Mapping[str, Mapping[str, np.ndarray]],
        path: Path = Path("memory"),
        table: SpeakerTable | None = None,
    ) -> None:
        self.path = path
        self.table = table if table is not None else SpeakerTable()
        self._stores = dict(stores)
        self._cache = _Cache(CACHE_BYTES)
        voices = [stores[kind] for kind in voice_kinds(stores)]
        known = {one.id: one for one in utterances}
        present = (name for name in known if all(name in store for store in voices))
        self.ids: list[str] = sorted(present, key=str.encode)
        """Ids of the utterances."""
        self._utterances = {name: known[name] for name in self.ids}
        self._frames = {name: self._agreed_frames(name) for name in self.ids}

    @classmethod
    def open(cls, path: Path, stores: Mapping[str, Path], stats: Path) -> "FeatureSet":
        """Open the features of a data dir.

        Args:
            path: the data dir; its recordings need not be there any more.
            stores: folder of every kind, `dump/<corpus>/<split>/<kind>-<hash8>`.
            stats: file of the voices' F0 statistics, `dump/<corpus>/<split>/f0-<hash8>/stats.json`.

        Raises:
            DataError: a store or the statistics are missing or unusable.
        """
        opened = {kind: FeatureStore(folder) for kind, folder in stores.items()}
        utterances = DataDir.read(path, check=False).utterances
        return cls(utterances, opened, path, SpeakerTable.read(stats))

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, Mapping[str, np.ndarray]],
        speakers: Mapping[str, str],
        domains: Mapping[str, str],
        stretches: Mapping[str, str] | None = None,
    ) -> "FeatureSet":
        """Build a set in memory.

        Args:
            arrays: (F, D) by kind and id.
            speakers: of every id.
            domains: of every id.
            stretches: the stretch of notes of every id, where they have one.
        """
        own = stretches or {}
        known = [
            Utterance(
                name,
                speaker,
                domains[name],
                wav=Path(f"{name}.wav"),
                duration=0.0,
                stretch=own.get(name),
            )
            for name, speaker in speakers.items()
        ]
        return cls(known, arrays)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, name: object) -> bool:
        return name in self._utterances

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of features it holds."""
        return tuple(self._stores)

    def has(self, name: str, kind: str) -> bool:
        """Tell whether an utterance has a kind of features."""
        return kind in self._stores and name in self._stores[kind]

    def load(self, name: str, kind: str) -> np.ndarray:
        """Return (F, D) float32, read-only; the most recently used are kept in memory.

        Raises:
            DataError: there is no such utterance or kind.
        """
        if name not in self._utterances or not self.has(name, kind):
            raise DataError(f"{self.path}: utterance '{name}' has no '{kind}' features")
        array = self._cache.get((name, kind))
        if array is None:
            array = np.array(self._stores[kind][name], dtype=np.float32)
            array.flags.writeable = False
            self._cache.put((name, kind), array)
        return array

    def frames(self, name: str) -> int:
        """Return the number of frames of an utterance."""
        return self._frames[name]

    @cached_property
    def cumulative_frames(self) -> np.ndarray:
        """Frames up to and with each utterance, in the order of `ids`: (N,) int64."""
        return np.cumsum([self._frames[name] for name in self.ids], dtype=np.int64)

    def utterance(self, name: str) -> Utterance:
        """Return the data dir's entry of an utterance."""
        return self._utterances[name]

    def speaker(self, name: str) -> str:
        """Return the speaker or singer of an utterance."""
        return self._utterances[name].speaker

    def domain(self, name: str) -> str:
        """Return the domain of an utterance."""
        return self._utterances[name].domain

    def stretch(self, name: str) -> str | None:
        """Return the stretch of notes that an utterance plays, where that is known."""
        return self._utterances[name].stretch

    def stats(self, name: str) -> SpeakerStats | None:
        """Return the statistics of an utterance's voice; None where it has no voiced frame."""
        return self.table.of(self.speaker(name), self.domain(name))

    @property
    def speakers(self) -> dict[str, SpeakerStats]:
        """Statistics of every speaker in this set, over the domains in it."""
        return self.table.restricted(*self._who()).speakers

    @property
    def domains(self) -> dict[str, SpeakerStats]:
        """Statistics of every domain in this set, over the speakers in it."""
        return self.table.restricted(*self._who()).domains

    @cached_property
    def content(self) -> str:
        """Digest of which utterances it holds, and of their features as far as stores know it."""
        stores = [(kind, self._stores[kind]) for kind in sorted(self._stores)]
        known = [(kind, one.digests) for kind, one in stores if isinstance(one, FeatureStore)]
        digest = hashlib.sha256()
        for name in self.ids:
            parts = [name, *(f"{kind} {digests.get(name)}" for kind, digests in known)]
            digest.update(json.dumps(parts).encode())
        return digest.hexdigest()[:16]

    def subset(self, keep: Callable[[Utterance], bool]) -> "FeatureSet":
        """Return the utterances for which `keep` is true; the cache is shared."""
        kept = [one for one in self._utterances.values() if keep(one)]
        part = FeatureSet(kept, self._stores, self.path, self.table)
        part._cache = self._cache
        return part

    def _who(self) -> tuple[set[str], set[str]]:
        known = self._utterances.values()
        return {one.speaker for one in known}, {one.domain for one in known}

    def _agreed_frames(self, name: str) -> int:
        counts = {
            kind: store.frames(name) if isinstance(store, FeatureStore) else len(store[name])
            for kind, store in self._stores.items()
            if name in store
        }
        if len(set(counts.values())) != 1:
            told = ", ".join(f"{kind} {count}" for kind, count in counts.items())
            raise DataError(f"{self.path}: '{name}' has unequal frames ({told}); rerun stage 2")
        return next(iter(counts.values()))

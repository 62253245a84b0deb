from pathlib import Path

import numpy as np
import pytest

from vctool.data import feature_set
from vctool.data.feature_set import FeatureSet
from vctool.data.speaker_table import SpeakerTable, Voice
from vctool.data.utterance import Utterance
from vctool.errors import DataError
from vctool.features.stats import SpeakerStats, pool


def stats(mean: float) -> SpeakerStats:
    return SpeakerStats(
        log_f0_mean=mean, log_f0_std=0.1, f0_floor=65, f0_ceil=400, voiced_frames=100
    )


TABLE = SpeakerTable(
    voices=tuple(
        Voice(speaker=speaker, domain=domain, stats=stats(mean))
        for speaker, domain, mean in [
            ("a", "singing", 5.5),
            ("a", "speech", 5.0),
            ("b", "speech", 4.6),
        ]
    )
)


def utterances() -> list[Utterance]:
    rows = [("b-1", "b", "speech"), ("a-2", "a", "singing"), ("a-1", "a", "speech")]
    return [Utterance(name, who, what, Path(f"{name}.wav"), 1.0) for name, who, what in rows]


def stores() -> dict[str, dict[str, np.ndarray]]:
    frames = {"a-1": 5, "a-2": 7, "b-1": 9, "unknown": 3}
    mel = {name: np.full((count, 4), count, np.float32) for name, count in frames.items()}
    return {"mel": mel, "accomp_mel": {"a-2": np.zeros((7, 4), np.float32)}}


def test_ids_frames_and_arrays() -> None:
    whole = FeatureSet(utterances(), stores(), table=TABLE)
    assert whole.ids == ["a-1", "a-2", "b-1"]
    assert len(whole) == 3
    assert "unknown" not in whole
    assert [whole.frames(name) for name in whole.ids] == [5, 7, 9]
    assert whole.cumulative_frames.tolist() == [5, 12, 21]
    assert (whole.speaker("a-2"), whole.domain("a-2")) == ("a", "singing")
    array = whole.load("a-2", "mel")
    assert (array == 7).all()
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    assert whole.has("a-2", "accomp_mel")
    assert not whole.has("a-1", "accomp_mel")
    for name, kind in (("a-1", "accomp_mel"), ("nobody", "mel"), ("a-1", "world")):
        with pytest.raises(DataError, match=f"'{name}' has no '{kind}'"):
            whole.load(name, kind)


def test_an_utterance_needs_every_voice_kind() -> None:
    kinds = stores()
    kinds["world"] = {"a-1": np.zeros((5, 2), np.float32)}
    assert FeatureSet(utterances(), kinds).ids == ["a-1"]


def test_unequal_frames_are_refused() -> None:
    kinds = stores()
    kinds["accomp_mel"]["a-2"] = np.zeros((8, 4), np.float32)
    with pytest.raises(DataError, match="unequal frames"):
        FeatureSet(utterances(), kinds)


def test_subsets_know_only_their_own_voices() -> None:
    whole = FeatureSet(utterances(), stores(), table=TABLE)
    assert whole.speakers["a"] == pool([stats(5.5), stats(5.0)])
    assert whole.stats("a-2") == stats(5.5)
    speech = whole.subset(lambda one: one.domain == "speech")
    assert speech.ids == ["a-1", "b-1"]
    assert speech.speakers == {"a": stats(5.0), "b": stats(4.6)}
    assert speech.domains == {"speech": pool([stats(5.0), stats(4.6)])}
    assert set(whole.domains) == {"speech", "singing"}


def test_the_cache_is_bounded_and_shared_with_subsets(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []

    class Counting(dict[str, np.ndarray]):
        def __getitem__(self, name: str) -> np.ndarray:
            reads.append(name)
            return super().__getitem__(name)

    monkeypatch.setattr(feature_set, "CACHE_BYTES", 4 * 4 * 13)  # a-1 and a-2 fit, b-1 does not
    whole = FeatureSet(utterances(), {"mel": Counting(stores()["mel"])})
    reads.clear()
    part = whole.subset(lambda one: True)
    reads.clear()
    for name in ("a-1", "a-2", "a-1", "a-2"):
        whole.load(name, "mel")
        part.load(name, "mel")
    assert reads == ["a-1", "a-2"]
    whole.load("b-1", "mel")
    whole.load("a-1", "mel")
    assert reads == ["a-1", "a-2", "b-1", "a-1"]


def test_sets_in_memory() -> None:
    kinds = {"mel": {"x": np.zeros((3, 2), np.float32)}}
    small = FeatureSet.from_arrays(kinds, {"x": "anna"}, {"x": "speech"})
    assert (small.ids, small.speaker("x"), small.kinds) == (["x"], "anna", ("mel",))


def test_tables_are_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "stats.json"
    with pytest.raises(DataError, match="run stage 2"):
        SpeakerTable.read(path)
    TABLE.write(path)
    assert SpeakerTable.read(path) == TABLE
    assert TABLE.of("b", "singing") is None
    path.write_text(path.read_text()[:40])
    with pytest.raises(DataError, match="not F0 statistics"):
        SpeakerTable.read(path)

"""Clips: aligned with their accompaniment, drawn from everything, the same for any process."""

import itertools

import numpy as np
import pytest
import torch

from vctool.data.batches import Clips, Role, UnpairedClips
from vctool.data.feature_set import FeatureSet
from vctool.errors import DataError

FRAMES = 32


def feature_set(role: str, lengths: list[int], accompanied: bool = False) -> FeatureSet:
    """Features that tell where they come from: the utterance's number, then the frame's."""
    names = [f"{role}-{n:02d}" for n in range(len(lengths))]
    marks = {
        name: np.stack([np.full(frames, n), np.arange(frames)], axis=1).astype(np.float32)
        for n, (name, frames) in enumerate(zip(names, lengths, strict=True))
    }
    arrays = {"world": marks} | ({"accomp_mel": marks} if accompanied else {})
    return FeatureSet.from_arrays(arrays, dict.fromkeys(names, "a"), dict.fromkeys(names, role))


def dataset(batch_size: int = 8, seed: int = 0) -> UnpairedClips:
    speech = feature_set("speech", [40, 200, 90, 60, 120, 50, 70, 300])
    singing = feature_set("singing", [100, 45, 150, 80, 64, 210], accompanied=True)
    roles = {"speech": Role(speech, singing), "singing": Role(singing)}
    return UnpairedClips(
        roles,
        lambda utterances, name: utterances.load(name, "world"),
        lambda utterances, name: utterances.load(name, "accomp_mel"),
        FRAMES,
        batch_size,
        seed,
    )


def test_singing_and_its_accompaniment_are_of_one_moment() -> None:
    data = dataset()
    for step in range(10):
        clips = data.batch(step)["singing"]
        torch.testing.assert_close(clips.voice, clips.condition)


def test_clips_are_whole_stretches_of_one_utterance() -> None:
    data = dataset()
    for step in range(10):
        for clips in data.batch(step).values():
            for part in (clips.voice, clips.condition):
                assert part.shape == (8, 2, FRAMES)
                assert (part[:, 0] == part[:, 0, :1]).all()
                assert (part[:, 1].diff(dim=1) == 1).all()


def test_speech_meets_any_song_at_any_place() -> None:
    data = dataset()
    speech = [data.batch(step)["speech"] for step in range(60)]
    voice = torch.cat([clips.voice[:, 0, 0] for clips in speech]).numpy()
    under = torch.cat([clips.condition[:, 0, 0] for clips in speech]).numpy()
    assert len(set(zip(voice, under, strict=True))) > 0.8 * 8 * 6
    assert abs(np.corrcoef(voice, under)[0, 1]) < 0.15
    places = torch.cat([clips.voice[:, 1, 0] for clips in speech])
    assert len(places.unique()) > 100  # the published loader took the same windows over and over


def test_every_frame_of_every_utterance_is_equally_likely() -> None:
    """The published loader took the first folders only, so it met five or six speakers."""
    data = dataset(batch_size=64)
    drawn = torch.cat([data.batch(step)["speech"].voice[:, 0, 0] for step in range(40)])
    counts = torch.bincount(drawn.long(), minlength=8).numpy()
    lengths = np.array([40, 200, 90, 60, 120, 50, 70, 300])
    expected = len(drawn) * lengths / lengths.sum()
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all(), (counts, expected)


def test_processes_share_one_global_batch_and_names_are_those_drawn() -> None:
    data = dataset()
    whole = data.batch(7)
    halves = [dataset().batch(7, rank, 2) for rank in (0, 1)]
    for role, clips in whole.items():
        for name, both in zip(Clips._fields, clips, strict=True):
            parts = [getattr(half[role], name) for half in halves]
            assert torch.equal(torch.cat(parts), both)
    drawn = [
        f"{role}-{int(number):02d}"
        for role, clips in whole.items()
        for number in clips.voice[:, 0, 0]
    ]
    assert data.names(7) == drawn
    assert not torch.equal(whole["speech"].voice, data.batch(8)["speech"].voice)
    assert not torch.equal(whole["speech"].voice, dataset(seed=1).batch(7)["speech"].voice)
    assert len(whole["speech"].key.unique()) == 8


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_batch_of_some_roles_has_each_equally_often(count: int) -> None:
    names = [f"voice{n}" for n in range(7)]
    sets = {name: feature_set(name, [40, 60]) for name in names}
    data = UnpairedClips(
        {name: Role(sets[name]) for name in names},
        lambda utterances, name: utterances.load(name, "world"),
        None,
        FRAMES,
        batch_size=2,
        seed=3,
        roles_per_batch=count,
    )
    met = set()
    for turn in range(40):
        drawn = [list(data.batch(step)) for step in range(7 * turn, 7 * turn + 7)]
        assert all(len(set(roles)) == count for roles in drawn)
        together = [role for roles in drawn for role in roles]
        assert all(together.count(name) == count for name in names)
        met |= {frozenset(pair) for roles in drawn for pair in itertools.pairwise(roles)}
        assert {name.partition("-")[0] for name in data.names(7 * turn)} == set(drawn[0])
    assert len(met) == 7 * 6 / 2, "some voices never meet"
    assert list(data.setup_batch()) == names, "every role is set up"


def test_roles_can_be_in_every_batch_and_the_others_take_turns() -> None:
    names = [f"voice{n}" for n in range(5)]
    sets = {name: feature_set(name, [40]) for name in names}
    data = UnpairedClips(
        {name: Role(sets[name]) for name in names},
        lambda utterances, name: utterances.load(name, "world"),
        None,
        FRAMES,
        batch_size=2,
        seed=3,
        roles_per_batch=2,
        always=["voice4"],
    )
    drawn = [list(data.batch(step)) for step in range(8)]
    assert {roles[0] for roles in drawn} == {"voice4"}
    assert sorted(roles[1] for roles in drawn) == sorted(2 * names[:4])


def test_setup_sees_more_than_a_batch() -> None:
    assert len(dataset().setup_batch()["speech"].voice) == 128


def test_short_utterances_are_reflected_with_their_accompaniment() -> None:
    singing = feature_set("singing", [20], accompanied=True)
    data = UnpairedClips(
        {"singing": Role(singing)},
        lambda utterances, name: utterances.load(name, "world"),
        lambda utterances, name: utterances.load(name, "accomp_mel"),
        FRAMES,
        2,
        0,
    )
    clips = data.batch(0)["singing"]
    there_and_back = [*range(20), *range(19, 7, -1)]
    assert clips.voice[0, 1].tolist() == there_and_back
    torch.testing.assert_close(clips.voice, clips.condition)


def test_a_role_without_utterances_is_named() -> None:
    with pytest.raises(DataError, match="no utterances of role 'speech'"):
        UnpairedClips(
            {"speech": Role(feature_set("speech", []))},
            lambda utterances, name: utterances.load(name, "world"),
            None,
            FRAMES,
            2,
            0,
        )


def test_prepared_channels_are_kept_within_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def prepare(utterances: FeatureSet, name: str) -> np.ndarray:
        made.append(name)
        return utterances.load(name, "world")

    def draw() -> dict[str, torch.Tensor]:
        made.clear()
        speech = feature_set("speech", [64] * 6)
        data = UnpairedClips({"speech": Role(speech)}, prepare, None, FRAMES, 8, 0)
        for step in range(6):
            clips = data.batch(step)
        return {"voice": clips["speech"].voice}

    unbounded = draw()
    assert sorted(made) == sorted(set(made))  # each once
    monkeypatch.setattr("vctool.data.batches.KEPT_BYTES", 3 * 64 * 2 * 4)
    bounded = draw()
    assert len(made) > len(set(made))  # some again, but
    torch.testing.assert_close(bounded["voice"], unbounded["voice"])

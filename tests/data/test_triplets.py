"""Triplets: the table of those that are scored, and the batches that training draws."""

from pathlib import Path

import numpy as np
import pytest

from vctool import audio
from vctool.data.datadir import DataDir, Triplet, Utterance, check, fix
from vctool.data.feature_set import FeatureSet
from vctool.data.triplets import TripletClips
from vctool.errors import DataError

INSTRUMENTS, STRETCHES, FRAMES = ("bow", "horn", "pipe"), ("s0", "s1", "s2", "s3"), 40


@pytest.fixture
def played() -> FeatureSet:
    """Every stretch by two of three instruments; frames tell instrument, stretch and time."""
    arrays, speakers, stretches = {}, {}, {}
    for number, stretch in enumerate(STRETCHES):
        for turn in range(2):
            player = (number + turn) % len(INSTRUMENTS)
            name = f"{INSTRUMENTS[player]}-{stretch}"
            frames = FRAMES + 5 * turn  # lengths may differ by a little
            arrays[name] = np.stack(
                [np.full(frames, player), np.full(frames, number), np.arange(frames)], axis=1
            ).astype(np.float32)
            speakers[name], stretches[name] = INSTRUMENTS[player], stretch
    return FeatureSet.from_arrays({"mel": arrays}, speakers, speakers, stretches)


def clips(utterances: FeatureSet, **settings: object) -> TripletClips:
    def channels(held: FeatureSet, name: str) -> np.ndarray:
        return held.load(name, "mel")

    given = {"frames": 16, "batch_size": 8, "seed": 3, **settings}
    return TripletClips(utterances, channels, channels, channels, **given)  # type: ignore[arg-type]


def test_content_shares_the_notes_and_style_the_instrument(played: FeatureSet) -> None:
    data = clips(played, style_frames=12)
    seen = set()
    for step in range(20):
        batch = data.batch(step)
        assert batch.content.shape == batch.target.shape == (8, 3, 16)
        assert batch.style.shape == (8, 3, 12)
        (content, style, target) = (part[:, :2, 0].int() for part in batch[:3])
        assert (content[:, 1] == target[:, 1]).all() and (content[:, 0] != target[:, 0]).all()
        assert (style[:, 0] == target[:, 0]).all() and (style[:, 1] != target[:, 1]).all()
        assert (batch.content[:, 2] == batch.target[:, 2]).all()  # frame for frame
        assert (batch.content[:, 2].diff() == 1).all()
        seen.update(map(tuple, target.tolist()))
    assert len(seen) == 2 * len(STRETCHES)
    assert any((data.batch(0).style[:, 2, 0] != data.batch(0).target[:, 2, 0]).tolist())


def test_batches_depend_on_seed_and_step_alone_and_divide_over_processes(
    played: FeatureSet,
) -> None:
    data, again = clips(played), clips(played)
    again.batch(0)
    whole = data.batch(7)
    halves = [again.batch(7, rank, 2) for rank in range(2)]
    for part, *own in zip(whole, *halves, strict=True):
        assert np.array_equal(part, np.concatenate(own))
    assert len(set(whole.key.tolist())) == 8
    assert not np.array_equal(whole.target, clips(played, seed=4).batch(7).target)
    assert not np.array_equal(whole.target, data.batch(8).target)
    names = data.names(7)
    assert len(names) == 3 * 8
    for example, name in enumerate(names[2::3]):
        player, stretch = name.split("-")
        expected = [INSTRUMENTS.index(player), STRETCHES.index(stretch)]
        assert whole.target[example, :2, 0].tolist() == expected
    assert len(data.setup_batch().target) == 128


def test_pairs_of_one_rendering_need_no_other_instrument(played: FeatureSet) -> None:
    batch = clips(played, rendering="same").batch(0)
    assert np.array_equal(batch.content, batch.target)
    assert (batch.style[:, 0, 0] == batch.target[:, 0, 0]).all()
    assert (batch.style[:, 1, 0] != batch.target[:, 1, 0]).all()
    alone = played.subset(lambda one: one.speaker == "bow")
    assert clips(alone, rendering="same").targets == alone.ids
    with pytest.raises(DataError, match="no stretch of notes that two instruments play"):
        clips(alone)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data dir of two instruments that play two stretches, with a triplet."""
    wav, notes = tmp_path / "x.wav", tmp_path / "n.tsv"
    audio.write(wav, np.resize(np.array([0.1, -0.1], "f4"), 8000), 8000)
    notes.write_text("onset\toffset\tpitch\n0.0\t0.5\t60\n0.5\t1.0\t64\n")
    names = [f"{player}-{stretch}" for player in ("bow", "pipe") for stretch in ("s0", "s1")]
    DataDir(
        tmp_path / "d" / "test",
        tuple(
            Utterance(name, player, player, wav, 1.0, stretch=stretch)
            for name in names
            for player, stretch in [name.split("-")]
        ),
        notes=dict.fromkeys(names, notes),
        triplets=(Triplet("one", "bow-s0", "pipe-s1", "pipe-s0", "seen", "mono"),),
    ).write()
    return tmp_path / "d" / "test"


def test_data_dirs_keep_stretches_notes_and_triplets(folder: Path) -> None:
    assert check(folder) == []
    data = DataDir.read(folder)
    assert data["pipe-s1"].stretch == "s1"
    assert data.triplets == (Triplet("one", "bow-s0", "pipe-s1", "pipe-s0", "seen", "mono"),)
    assert data.notes_of("bow-s0").tolist() == [[0, 0.5, 60], [0.5, 1, 64]]
    fewer = data.subset(lambda one: one.id != "pipe-s1")
    assert fewer.triplets == () and "pipe-s1" not in fewer.notes
    fewer.write()
    assert not (folder / "triplets.tsv").exists()
    with pytest.raises(DataError, match="no notes of 'pipe-s1'"):
        DataDir.read(folder).notes_of("pipe-s1")
    (folder.parents[1] / "n.tsv").write_text("onset\toffset\tpitch\n0.5\t0.5\t60\n")
    with pytest.raises(DataError, match=r"n\.tsv: not a list of notes"):
        DataDir.read(folder).notes_of("bow-s0")


WRONG = {
    "two\tbow-s0\tpipe-s1\tpipe-s1\tseen\tmono": "one stretch by two instruments",
    "two\tbow-s0\tbow-s1\tbow-s0\tseen\tmono": "one stretch by two instruments",
    "two\tbow-s0\tpipe-s0\tpipe-s0\tseen\tmono": "two stretches by one instrument",
    "two\tbow-s0\tbow-s1\tpipe-s0\tseen\tmono": "two stretches by one instrument",
    "two\tbow-s0\tpipe-s7\tpipe-s0\tseen\tmono": "no usable utterance 'pipe-s7'",
    "two\tbow-s0\tpipe-s1\tpipe-s0\tnew\tmono": "group 'new', wanted seen",
    "two\tbow-s0\tpipe-s1\tpipe-s0\tseen\tduo": "voices 'duo', wanted mono or poly",
    "two\tbow-s0": "2 columns, wanted 6",
    "one\tbow-s0\tpipe-s1\tpipe-s0\tseen\tmono": "stands twice",
}


@pytest.mark.parametrize("row", WRONG)
def test_what_is_no_triplet_is_named_by_line_and_left_out(folder: Path, row: str) -> None:
    with (folder / "triplets.tsv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(DataError, match=WRONG[row]):
        DataDir.read(folder)
    line = 2 if "twice" in WRONG[row] else 3
    assert str(check(folder)[0]).startswith(f"triplets.tsv:{line}: '{row.split()[0]}'")
    assert fix(folder)
    assert check(folder) == []
    assert [one.id for one in DataDir.read(folder).triplets] == ["one"]

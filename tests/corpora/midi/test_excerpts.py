from pathlib import Path

import numpy as np
import pytest

from vctool.corpora.midi import excerpts, score
from vctool.corpora.midi.score import Note, Track
from vctool.errors import DataError


def part(seconds: float, *, program: int = 40, drums: bool = False, step: float = 0.5) -> Track:
    count = int(seconds / step)
    notes = (Note(k * step, k * step + 0.4, 60 + k % 12, 80) for k in range(count))
    return Track("", program, drums, tuple(notes))


@pytest.fixture
def song(tmp_path: Path) -> Path:
    tracks = [part(40.0, drums=True), part(40.0, program=42), part(6.0, program=0)]
    score.write(tmp_path / f"{'a' * 32}.mid", tracks)
    return tmp_path / f"{'a' * 32}.mid"


def test_two_stretches_on_the_grid_of_the_only_part_that_has_them(song: Path) -> None:
    pair = excerpts.choose(song, 0)
    first, second = pair.starts
    assert first < second and first % 8 == second % 8 == 0 and second <= 32
    assert 40 <= pair.program < 80
    for start, one in zip(pair.starts, pair.parts, strict=True):
        assert one.program == pair.program and not one.drums
        assert 0 <= one.notes[0].start < 0.01 and one.end <= 8.0
        # what is played is what stands there, moved by one interval
        whole = part(40.0).between(start, start + 8.0).notes
        moves = {a.pitch - b.pitch for a, b in zip(one.notes, whole, strict=True)}
        assert len(moves) == 1 and abs(moves.pop()) <= excerpts.TRANSPOSED


def test_the_draw_is_of_the_name_and_the_seed(song: Path) -> None:
    assert excerpts.choose(song, 0) == excerpts.choose(song, 0)
    drawn = {
        (pair.program, pair.starts, pair.parts[0].notes[0].pitch)
        for pair in (excerpts.choose(song, seed) for seed in range(8))
    }
    assert len(drawn) > 4
    other = song.rename(song.with_name(f"{'b' * 32}.mid"))
    assert excerpts.choose(other, 0).fingerprint == excerpts.choose(other, 1).fingerprint


@pytest.mark.parametrize(
    ("program", "allowed"),
    [
        (0, range(0, 32)),
        (31, range(0, 32)),
        (33, range(32, 40)),
        (40, range(40, 80)),
        (79, range(40, 80)),
        (81, range(80, 88)),
        (103, range(96, 104)),
        (104, range(104, 105)),
        (127, range(127, 128)),
    ],
)
def test_a_program_is_replaced_by_one_of_its_kind(program: int, allowed: range) -> None:
    draw = np.random.default_rng(0)
    drawn = {excerpts.another(program, draw) for _ in range(400)}
    assert drawn == set(allowed)


def test_chords_are_one_onset_and_short_or_large_files_are_refused(tmp_path: Path) -> None:
    chord = tuple(Note(k * 4.0, k * 4.0 + 1, 60 + p, 80) for k in range(10) for p in range(6))
    assert excerpts.busy(Track("", 0, False, chord)) == []
    score.write(tmp_path / "a.mid", [Track("", 0, False, chord), part(40.0, drums=True)])
    with pytest.raises(DataError, match="no part, but for drums, with two stretches of 4 onsets"):
        excerpts.choose(tmp_path / "a.mid", 0)
    (tmp_path / "b.mid").write_bytes(bytes(excerpts.LARGEST + 1))
    with pytest.raises(DataError, match="100001 bytes, wanted 100000 or less"):
        excerpts.choose(tmp_path / "b.mid", 0)

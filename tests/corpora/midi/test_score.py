from pathlib import Path

import pytest

from vctool.corpora.midi import score
from vctool.corpora.midi.score import Control, Note, Track
from vctool.errors import DataError

TUNE = Track(
    "Melody",
    40,
    False,
    tuple(Note(0.5 * k, 0.5 * k + 0.4, 60 + step, 90) for k, step in enumerate((0, 2, 4, 5, 7))),
    (Control(0.25, 64, 127), Control(1.6, 64, 0)),
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    drums = Track("Kit", 0, True, (Note(0.0, 0.1, 36, 100),))
    score.write(tmp_path / "a.mid", [TUNE, drums])
    tune, kit = score.read(tmp_path / "a.mid")
    assert (tune.name, tune.program, tune.drums, kit.drums) == ("Melody", 40, False, True)
    assert [note.pitch for note in tune.notes] == [60, 62, 64, 65, 67]
    for note, read in zip(TUNE.notes, tune.notes, strict=True):
        assert (read.start, read.end) == pytest.approx((note.start, note.end), abs=1e-3)
    assert [(one.number, one.value) for one in tune.controls] == [(64, 127), (64, 0)]


def test_a_stretch_begins_at_zero_with_the_pedal_as_it_stood() -> None:
    part = TUNE.between(1.0, 2.1)
    assert [(round(n.start, 6), round(n.end, 6), n.pitch) for n in part.notes] == [
        (0.0, 0.4, 64), (0.5, 0.9, 65), (1.0, 1.1, 67),
    ]  # fmt: skip
    assert part.controls[0] == Control(0.0, 64, 127)
    assert part.controls[1].time == pytest.approx(0.6)


def test_transposing_leaves_out_what_midi_cannot_hold() -> None:
    assert [note.pitch for note in TUNE.transposed(62).notes] == [122, 124, 126, 127]


def test_a_fingerprint_knows_a_tune_in_another_key_and_tempo_from_another_tune() -> None:
    faster = tuple(
        note._replace(start=note.start * 0.8, end=note.end * 0.8, pitch=note.pitch + 5)
        for note in TUNE.notes
    )
    same = Track("Other", 0, False, faster)
    assert score.fingerprint(same) == score.fingerprint(TUNE)
    other = (*TUNE.notes[:-1], TUNE.notes[-1]._replace(pitch=68))
    assert score.fingerprint(Track("", 40, False, other)) != score.fingerprint(TUNE)
    later = (*TUNE.notes[:-1], TUNE.notes[-1]._replace(start=2.3))
    assert score.fingerprint(Track("", 40, False, later)) != score.fingerprint(TUNE)


HEADER = b"MThd\x00\x00\x00\x06\x00\x01"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not MIDI that can be read"),
        (b"RIFF and so on", "not MIDI that can be read"),
        (HEADER + b"\x00\x02\x01\xe0MTrk\x00\x00\x10\x00\x00", "not MIDI"),
        (HEADER + b"\x00\x01\x01\xe0MTrk\x00\x00\x00\x04\x00\xff\x2f\x00", "no notes"),
    ],
)
def test_what_is_no_midi_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.mid"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        score.read(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_a_file_that_claims_to_last_for_days_is_refused(tmp_path: Path) -> None:
    score.write(tmp_path / "x.mid", [Track("", 0, False, (Note(0.0, 4000.0, 60, 90),))])
    with pytest.raises(DataError, match="claims to last 4000 s"):
        score.read(tmp_path / "x.mid")
    with pytest.raises(DataError, match="not MIDI that can be read"):
        score.read(tmp_path / "nowhere.mid")

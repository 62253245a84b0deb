"""The corpus lakh_gm: from a server on this machine to its data dirs."""

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vctool.acquisition.archive import Archive
from vctool.acquisition.fetch import Patience
from vctool.acquisition.obtain import obtain
from vctool.corpora import lakh, lakh_gm
from vctool.corpora.midi import score, soundfonts, stretches
from vctool.corpora.midi.score import Note, Track
from vctool.data.datadir import DataDir, check
from vctool.errors import DataError

PROGRAMS, UNHEARD = (40, 71, 73), (41, 60)


def song(number: int) -> list[Track]:
    """Chords on top, a melody of one note at a time, a bass below it, and drums."""
    random = np.random.default_rng(number)
    times = np.cumsum(random.choice([0.25, 0.5], 120)).tolist()

    def line(low: int, high: int) -> tuple[Note, ...]:
        return tuple(
            Note(start, start + 0.24, int(random.integers(low, high)), 90) for start in times
        )

    chords = tuple(
        Note(start, start + 0.9, key, 70) for start in np.arange(40.0).tolist() for key in (88, 91)
    )
    parts = (chords, line(64, 76), line(36, 48))
    made = [Track(name, 0, False, own) for name, own in zip("CMB", parts, strict=True)]
    return [*made, Track("drums", 0, True, line(36, 48))]


@pytest.fixture
def served(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_font: Path, fluidsynth: str
) -> Path:
    """The archive in the publisher's layout, of six songs, one too large and one without a melody;
    returns the folder of downloads."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as packed:
        for number in range(8):
            tracks = song(number)
            if number == 6:
                tracks = tracks[:1]
            score.write(tmp_path / "new.mid", tracks)
            body = (tmp_path / "new.mid").read_bytes()
            if number == 7:
                body += bytes(100_001)
            name = hashlib.md5(body).hexdigest()
            member = tarfile.TarInfo(f"lmd_full/{name[0]}/{name}.mid")
            member.size = len(body)
            packed.addfile(member, io.BytesIO(body))
    server.files["lmd_full.tar.gz"] = archive.getvalue()
    body = archive.getvalue()
    offer = Archive(
        server.url("lmd_full.tar.gz"), "a test", len(body), "md5:" + hashlib.md5(body).hexdigest()
    )
    monkeypatch.setattr(lakh_gm, "INFO", replace(lakh_gm.INFO, archives=(offer,)))
    for name, value in (("SEEN", PROGRAMS), ("UNHEARD", UNHEARD), ("FONT", soundfonts.TIMGM)):
        monkeypatch.setattr(stretches, name, value)
    monkeypatch.setattr(stretches, "OTHER_FONT", replace(soundfonts.TIMGM, name="other"))
    monkeypatch.setattr(lakh_gm, "COUNTS", {"train": 4, "dev": 2, "test": 2})
    return tmp_path / "corpora"


def test_songs_are_fetched_and_their_melodies_played(served: Path, tmp_path: Path) -> None:
    patience = Patience(connect=5, silence=2, tries=2, backoff=0.01)
    folder = obtain(lakh_gm.INFO, served, patience=patience)
    assert folder == served / "lakh"  # shared with the corpus of single parts
    source = lakh_gm.find(folder)
    report = lakh_gm.prepare(source, tmp_path / "data", seed=0, nj=2)
    (without,) = report.rejected
    assert "has no part that plays one note at a time" in without.reason
    data = {split: DataDir.read(tmp_path / "data" / split) for split in ("train", "dev", "test")}
    large = {file.stem for file in lakh.files(source) if file.stat().st_size > 100_000}
    for own in data.values():
        assert check(own.path) == []
        for one in own:
            assert one.duration == stretches.SECONDS and str(one.stretch)[:32] not in large
    assert len({str(one.stretch)[:32] for own in data.values() for one in own}) <= 6
    assert len(data["test"].triplets) == 3 * 2 * 2
    # what is played alone is the melody, not the chords above or the bass below it
    for one in data["train"]:
        pitches = data["train"].notes_of(one.id)[:, 2]
        if "_mono" in one.id:
            assert np.ptp(pitches) < 12
        else:
            assert np.ptp(pitches) > 24


def test_the_melody_is_the_highest_part_of_one_note_at_a_time() -> None:
    tracks = tuple(song(0))
    melody, others = lakh_gm.arrange(tracks)
    assert melody.name == "M" and [one.name for one in others] == ["C", "B"]
    late = tuple(replace(one, notes=tuple(n for n in one.notes if n.start > 20)) for one in tracks)
    longer = tuple(
        replace(one, notes=tuple(n._replace(start=n.start + 60, end=n.end + 60) for n in one.notes))
        for one in late
    )
    with pytest.raises(DataError, match="no part that plays one note at a time"):
        lakh_gm.arrange(longer)  # all of it lies beyond what is read
    # legato is one note at a time, and two hands are not
    legato = replace(
        tracks[1], notes=tuple(n._replace(end=n.start + 0.28) for n in tracks[1].notes)
    )
    assert lakh_gm.arrange((legato,))[0].notes == legato.between(0, lakh_gm.HEARD).notes
    hands = replace(tracks[1], notes=tuple(sorted(tracks[1].notes + tracks[2].notes)))
    with pytest.raises(DataError, match="no part"):
        lakh_gm.arrange((hands,))

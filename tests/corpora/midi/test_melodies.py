"""Nottingham and POP909: their layouts made up, and some of the real files."""

import os
from pathlib import Path

import numpy as np
import pytest

from vctool import corpora
from vctool.corpora import nottingham, pop909
from vctool.corpora.midi import melodies, score, soundfonts
from vctool.corpora.midi.score import Note, Track
from vctool.data.datadir import DataDir, check
from vctool.errors import DataError

STEPS = {
    "ashover1": (0, 2, 4, 5, 7, 9),
    "ashover2": (0, 4, 7, 4, 0, -1),
    "hpps24": (7, 5, 4, 2, 0, 0),
    "hpps25": (7, 5, 4, 2, 0, 0),  # the same tune again, in another key
    "jigs1": (0, 0, 7, 7, 9, 7),
    "reels3": (0, -3, -5, 0, 4, 2),
    "xmas": (12, 11, 9, 7, 5, 4),
}


def melody(name: str, key: int) -> Track:
    notes = (Note(0.6 * k, 0.6 * k + 0.55, key + s, 90) for k, s in enumerate(STEPS[name]))
    return Track("", 0, False, tuple(notes))


def chords(key: int) -> Track:
    notes = (Note(1.2 * k, 1.2 * k + 1.0, key + s, 70) for k in range(3) for s in (-24, -20, -17))
    return Track("", 0, False, tuple(notes))


@pytest.fixture
def folk(tmp_path: Path) -> Path:
    """Nottingham as unpacked: melodies alone lie in a folder of their own, and are left there."""
    folder = tmp_path / "nottingham-dataset-master" / "MIDI"
    (folder / "melody").mkdir(parents=True)
    for number, name in enumerate(STEPS):
        key = 43 + number  # too low for the instruments: an octave and more below
        tracks = [melody(name, key)] + ([chords(key)] if name != "xmas" else [])
        score.write(folder / f"{name}.mid", tracks)
        score.write(folder / "melody" / f"{name}.mid", tracks[:1])
    return folder.parent


def read(out: Path) -> dict[str, DataDir]:
    return {split: DataDir.read(out / split) for split in ("train", "dev", "test")}


def assert_sounds(wave: np.ndarray, key: int) -> None:
    """The first note's strongest partial is one of the first few of a key's."""
    part = wave[round(0.12 * melodies.RATE) : round(0.5 * melodies.RATE)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 17))
    strongest = np.argmax(spectrum) * melodies.RATE / (1 << 17)
    partial = strongest / (440 * 2 ** ((key - 69) / 12))
    assert partial == pytest.approx(round(partial), rel=0.02) and round(partial) in (1, 2, 3, 4)


def test_tunes_are_played_by_one_in_training_and_by_all_for_scoring(
    small_melodies: None, folk: Path, tmp_path: Path
) -> None:
    (folk / "MIDI" / "broken.mid").write_bytes(b"<html>not found</html>")
    assert nottingham.find(tmp_path) == nottingham.find(folk) == folk
    out = tmp_path / "data/nottingham"
    report = nottingham.prepare(folk, out, seed=0, nj=2)
    assert [one.file.name for one in report.rejected] == ["broken.mid"]
    assert "FluidSynth with TimGM6mb" in str(report)
    data = read(out)
    assert all(check(found.path) == [] for found in data.values())
    tunes = {
        split: {one.sentence.rsplit("_", 1)[0] for one in found if one.sentence}
        for split, found in data.items()
    }
    assert sum(map(len, tunes.values())) == len(STEPS)
    # the same tune under two names is in one split
    assert sum("hpps24" in own or "hpps25" in own for own in tunes.values()) == 1
    for split in ("train", "dev"):
        assert len(data[split]) == len({one.sentence for one in data[split]}), split
    assert data["test"].speakers == data["test"].domains == ("clarinet", "flute", "violin")
    times = {
        speaker: {
            (one.sentence, one.start, one.end) for one in data["test"] if one.speaker == speaker
        }
        for speaker in data["test"].speakers
    }
    assert times["violin"] == times["flute"] == times["clarinet"]
    for one in (one for found in data.values() for one in found):
        tune = one.wav.name.split("-")[0]
        assert one.id.startswith(f"{one.speaker}-{tune}_")
        assert bool(one.accomp) == (tune != "xmas")
        # the first note, two octaves or one above what is written
        written = melody(tune, 43 + list(STEPS).index(tune))
        key = written.notes[0].pitch + melodies.octaves(written)
        assert melodies.RANGE[0] <= key <= melodies.RANGE[1]
        assert_sounds(one.load(melodies.RATE), key)


def test_a_second_run_renders_nothing_and_writes_the_same(
    small_melodies: None, folk: Path, tmp_path: Path
) -> None:
    out = tmp_path / "data/nottingham"
    nottingham.prepare(folk, out, seed=0, nj=1)
    files = [file for file in sorted(out.rglob("*")) if file.is_file()]
    before = {file: file.read_bytes() for file in files}
    times = {file: file.stat().st_mtime_ns for file in files if file.suffix == ".wav"}
    nottingham.prepare(folk, out, seed=0, nj=2)
    assert {file: file.read_bytes() for file in before} == before
    assert {file: file.stat().st_mtime_ns for file in times} == times
    assert sum(file.suffix == ".wav" for file in out.rglob("*")) == len(times)


def test_what_is_not_installed_is_said_before_anything_is_written(
    folk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DataError, match=r"fluidsynth: not found .* apt-get install fluidsynth"):
        nottingham.prepare(folk, tmp_path / "out", seed=0)
    (tmp_path / "fluidsynth").write_text("#!/bin/sh\n")
    (tmp_path / "fluidsynth").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(soundfonts, "SEARCHED", (tmp_path,))
    with pytest.raises(DataError, match="FluidR3 GM: not found; apt-get install fluid-soundfont"):
        nottingham.prepare(folk, tmp_path / "out", seed=0)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("pitches", "expected"), [((60, 91), 0), ((40, 50), 24), ((48, 60), 12), ((96, 100), -12)]
)
def test_a_melody_moves_by_octaves_into_the_instruments_range(
    pitches: tuple[int, ...], expected: int
) -> None:
    track = Track("", 0, False, tuple(Note(k, k + 1, p, 90) for k, p in enumerate(pitches)))
    assert melodies.octaves(track) == expected


def test_too_few_tunes_cannot_be_divided(small_melodies: None, folk: Path, tmp_path: Path) -> None:
    for name in list(STEPS)[:4]:
        (folk / "MIDI" / f"{name}.mid").unlink()
    score.write(folk / "MIDI" / "ashover1.mid", [melody("jigs1", 60)])
    with pytest.raises(DataError, match="3 usable tunes cannot be divided into three splits"):
        nottingham.prepare(folk, tmp_path / "out", seed=0)


def test_pop909_tells_the_melody_by_its_name(small_melodies: None, tmp_path: Path) -> None:
    for number, name in enumerate(STEPS, 1):
        folder = tmp_path / "POP909-Dataset-master" / "POP909" / f"{number:03d}"
        (folder / "versions").mkdir(parents=True)
        tune = melody(name, 60 + number)
        parts = {"PIANO": chords(60 + number), "BRIDGE": melody("jigs1", 65), "MELODY": tune}
        if name == "xmas":
            del parts["MELODY"]
        tracks = [
            Track(part, 0, False, track.notes, track.controls) for part, track in parts.items()
        ]
        score.write(folder / f"{number:03d}.mid", tracks)
        score.write(folder / "versions" / f"{number:03d}-v1.mid", tracks)
    source = pop909.find(tmp_path)
    assert source == tmp_path / "POP909-Dataset-master"
    report = pop909.prepare(source, tmp_path / "data/pop909", seed=0, nj=2)
    assert [(one.file.name, one.reason) for one in report.rejected] == [
        ("007.mid", "has no part called MELODY, only PIANO, BRIDGE")
    ]
    everything = [one for found in read(tmp_path / "data/pop909").values() for one in found]
    assert all(one.accomp for one in everything)
    one = next(one for one in everything if one.wav.name.startswith("001-"))
    assert one.id == f"{one.speaker}-001_0000000"
    assert_sounds(one.load(melodies.RATE), 61)


@pytest.mark.parametrize(
    ("name", "pattern", "count"), [("nottingham", "*/jigs*.mid", 5), ("pop909", "*/*/0*.mid", 4)]
)
def test_real_files_become_sound_data_dirs(
    name: str,
    pattern: str,
    count: int,
    fluidsynth: str,
    large_font: Path,
    shared_data: Path,
    tmp_path: Path,
) -> None:
    module = corpora.get(name)
    source = module.find(shared_data)
    files = sorted(source.glob(pattern), key=lambda file: (file.stat().st_size, file))[:count]
    for file in files:
        copy = tmp_path / "source" / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        # half a minute of each is enough, of parts as they are in the file
        score.write(copy, [track.between(0.0, 30.0) for track in score.read(file)])
    # `find` knows Nottingham by its first tunes
    if name == "nottingham":
        os.link(copy, copy.with_name("ashover0.mid"))
    out = tmp_path / "data" / name
    report = module.prepare(module.find(tmp_path / "source"), out, seed=0, nj=2)
    assert not report.rejected
    data = read(out)
    assert all(check(found.path) == [] for found in data.values())
    assert all(one.accomp for found in data.values() for one in found)
    one = data["test"].utterances[0]
    assert len(one.load(melodies.RATE)) == pytest.approx(one.duration * melodies.RATE, abs=1)
    assert np.abs(one.load(melodies.RATE)).max() > 0.02

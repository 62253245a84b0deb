"""The Philharmonia's samples: their layout made up, and the real ones."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import sine
from vctool.corpora import philharmonia
from vctool.data.datadir import DataDir, check
from vctool.errors import DataError

PITCHES = [f"{name}{octave}" for octave in (3, 4) for name in ("C", "Ds", "F", "As", "B")]


def put(path: Path, frequency: float = 440.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sine(0.5, frequency, 44100), 44100, format="MP3")


def read(out: Path) -> dict[str, DataDir]:
    return {split: DataDir.read(out / split) for split in ("train", "dev", "test")}


def test_pitches_are_held_out_for_all_instruments_alike(tmp_path: Path) -> None:
    audio = tmp_path / "philharmonia-samples" / "audio"
    for instrument, usual in {"flute": "normal", "double-bass": "arco-normal"}.items():
        for pitch in PITCHES:
            put(audio / instrument / f"{instrument}_{pitch}_15_mezzo-piano_{usual}.mp3")
    put(audio / "flute" / "flute_C4_025_forte_fluttertonguing.mp3")
    put(audio / "percussion" / "cowbell__025_forte_undamped.mp3")
    source = philharmonia.find(tmp_path)
    assert source == audio.parent
    report = philharmonia.prepare(source, tmp_path / "data/philharmonia", seed=0, nj=2)
    assert not report.rejected
    data = read(tmp_path / "data/philharmonia")
    assert all(check(found.path) == [] for found in data.values())
    pitches = {
        split: {one.wav.name.split("_")[1] for one in found} for split, found in data.items()
    }
    assert sum(map(len, pitches.values())) == len(PITCHES)
    for found in data.values():
        assert found.speakers == found.domains == ("double_bass", "flute")
        shared = [
            {one.sentence for one in found if one.speaker == speaker and one.sentence}
            for speaker in found.speakers
        ]
        assert shared[0] == shared[1] != set()
    assert not data["train"].triplets
    for split in ("dev", "test"):
        found = data[split]
        kinds = {(found[one.content].speaker, found[one.target].speaker) for one in found.triplets}
        if len({one.stretch for one in found}) > 1:  # a style is another note
            assert kinds == {("flute", "double_bass"), ("double_bass", "flute")}
        assert all((one.group, one.voices) == ("seen", "mono") for one in found.triplets)
    everything = {one.id: one for found in data.values() for one in found}
    assert everything["flute-C4_025_forte_fluttertonguing"].sentence is None
    note = everything["double_bass-As3_15_mezzo_piano_arco_normal"]
    assert note.sentence == note.stretch == "As3_15_mezzo_piano"


def test_the_real_notes_sound_at_the_pitch_that_they_are_named_after(
    shared_data: Path, tmp_path: Path
) -> None:
    report = philharmonia.prepare(philharmonia.find(shared_data), tmp_path / "out", seed=0, nj=2)
    data = read(tmp_path / "out")
    assert sum(len(found) for found in data.values()) + len(report.rejected) == 240
    assert data["train"].speakers == ("cello", "flute", "saxophone", "trombone")
    assert len(data["test"].triplets) >= 8 and not data["train"].triplets
    keys = {name: key for key, name in enumerate("C Cs D Ds E F Fs G Gs A As B".split())}
    found = 0
    for one in (one for one in data["train"] if one.speaker == "flute"):
        pitch = one.wav.name.split("_")[1]
        wave = one.load(44100)
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 18))
        strongest = np.argmax(spectrum) * 44100 / (1 << 18)
        key = 12 * (int(pitch[-1]) + 1) + keys[pitch[:-1]]
        cents = 1200 * np.log2(strongest / (440 * 2 ** ((key - 69) / 12)))
        # a partial may be stronger than the first; whole octaves are the most usual ones
        found += abs((cents + 600) % 1200 - 600) < 60
    assert found > 0.8 * sum(one.speaker == "flute" for one in data["train"])


def test_a_folder_without_notes_is_named(tmp_path: Path) -> None:
    put(tmp_path / "percussion" / "cowbell__025_forte_undamped.mp3")
    with pytest.raises(DataError, match="no Philharmonia Orchestra sound samples there"):
        philharmonia.prepare(tmp_path, tmp_path / "out", seed=0)

"""Preparers on made-up recordings in a corpus's layout, where the real subsets are too few."""

from pathlib import Path

import numpy as np
import soundfile

from vctool.corpora import librispeech, mir1k, musdb18
from vctool.data.datadir import DataDir

TONE = np.resize(np.array([0.1, 0.1, -0.1, -0.1], "f4"), 4000)


def put(path: Path, wave: np.ndarray = TONE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.repeat(wave, 2, axis=0), 16000)


def speakers(out: Path) -> dict[str, set[str]]:
    return {split: set(DataDir.read(out / split).speakers) for split in ("train", "dev", "test")}


def test_librispeech_holds_out_speakers_of_both_sexes_where_there_are_eight(tmp_path: Path) -> None:
    source = tmp_path / "LibriSpeech"
    for speaker in range(1, 10):
        put(source / f"train-clean-100/{speaker}/7/{speaker}-7-0000.flac")
    table = [
        f"{speaker} | {'FM'[speaker > 2]} | train-clean-100 | 1 | x" for speaker in range(1, 10)
    ]
    (source / "SPEAKERS.TXT").write_text("; comment\n" + "\n".join(table))
    librispeech.prepare(source, tmp_path / "out", seed=3)
    found = speakers(tmp_path / "out")
    assert set.union(*found.values()) == set(map(str, range(1, 10)))
    assert sum(map(len, found.values())) == 9
    assert len(found["test"] & {"1", "2"}) == 1 and len(found["test"]) == 2


def test_librispeech_takes_the_subsets_of_the_publisher(tmp_path: Path) -> None:
    for subset, speaker in {"train-clean-100": 1, "dev-clean": 2, "test-other": 3}.items():
        put(tmp_path / f"{subset}/{speaker}/7/{speaker}-7-0000.flac")
    report = librispeech.prepare(tmp_path, tmp_path / "out", seed=0)
    assert speakers(tmp_path / "out") == {"train": {"1"}, "dev": {"2"}, "test": {"3"}}
    assert "publisher" in report.disjoint_by


def test_mir1k_holds_out_singers_where_there_are_eight(tmp_path: Path) -> None:
    for singer in "abcdefgh":
        put(tmp_path / f"Wavfile/{singer}_1_01.wav", np.stack([TONE, TONE / 2], axis=1))
    put(tmp_path / "Wavfile/mono_1_01.wav")
    report = mir1k.prepare(tmp_path, tmp_path / "out", seed=0)
    found = speakers(tmp_path / "out")
    assert {split: len(names) for split, names in found.items()} == {
        "train": 5, "dev": 1, "test": 2,
    }  # fmt: skip
    assert len(set.union(*found.values())) == 8
    assert report.disjoint_by == "singer"
    assert [one.reason for one in report.rejected] == ["has 1 channels, wanted channel 1"]
    assert "mono_1_01.wav\thas 1 channels" in (tmp_path / "out/rejected.tsv").read_text()


def test_musdb18_validates_on_songs_where_there_are_four_and_names_incomplete_ones(
    tmp_path: Path,
) -> None:
    for subset, count in {"train": 5, "test": 1}.items():
        for song in range(count):
            for stem in ("vocals", "drums", "bass", "other"):
                put(tmp_path / subset / f"Artist {song} - Song" / f"{stem}.wav", TONE.repeat(8))
    put(tmp_path / "train" / "Half - Song" / "vocals.wav")
    report = musdb18.prepare(tmp_path, tmp_path / "out", seed=0)
    found = speakers(tmp_path / "out")
    assert {split: len(names) for split, names in found.items()} == {
        "train": 4, "dev": 1, "test": 1,
    }  # fmt: skip
    assert not found["train"] & found["dev"]
    assert [one.reason for one in report.rejected] == [
        "its song lacks drums.wav and bass.wav and other.wav"
    ]

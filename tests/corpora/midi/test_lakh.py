"""The Lakh dataset's layout, made up."""

import hashlib
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from vctool import cache
from vctool.corpora import lakh
from vctool.corpora.midi import rendering, score, soundfonts
from vctool.corpora.midi.score import Note, Track
from vctool.data.datadir import DataDir, check
from vctool.errors import DataError


def song(number: int, key: int = 60) -> Track:
    """A part of 26 s that no other number has."""
    draw = np.random.default_rng(number)
    steps = draw.integers(0, 12, 52).tolist()
    notes = (Note(k / 2, k / 2 + 0.45, key + s, 90) for k, s in enumerate(steps))
    return Track("", int(draw.integers(0, 80)), False, tuple(notes))


def put(folder: Path, tracks: list[Track]) -> Path:
    """Write a file under the checksum of what is in it, as the dataset does."""
    folder.mkdir(parents=True, exist_ok=True)
    score.write(folder / "new.mid", tracks)
    name = hashlib.md5((folder / "new.mid").read_bytes()).hexdigest()
    path = folder / name[0] / f"{name}.mid"
    path.parent.mkdir(exist_ok=True)
    return (folder / "new.mid").rename(path)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "lmd_full"
    for number in range(6):
        put(root, [song(number)])
    return tmp_path


@pytest.fixture
def small_fonts(fluidsynth: str, small_font: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the small sound font, which more machines have."""
    monkeypatch.setattr(lakh, "FONTS", (soundfonts.TIMGM,))
    monkeypatch.setattr(soundfonts, "SEARCHED", (small_font.parent,))


def read(out: Path) -> dict[str, DataDir]:
    return {split: DataDir.read(out / split) for split in ("train", "dev", "test")}


def test_every_song_gives_two_stretches_of_one_timbre(
    small_fonts: None, corpus: Path, tmp_path: Path
) -> None:
    root = corpus / "lmd_full"
    transposed = put(root, [song(0, key=65)])
    drums = put(root, [Track("", 0, True, song(9).notes)])
    (root / "0").mkdir(exist_ok=True)
    broken = root / "0" / f"{'0' * 32}.mid"
    broken.write_bytes(b"MThd")
    assert lakh.find(corpus) == corpus and lakh.find(root) == root
    report = lakh.prepare(root, tmp_path / "data/lakh", seed=0, nj=2)
    assert {one.file for one in report.rejected} == {drums, broken}
    assert "all played with TimGM6mb: for a test with unheard timbres get it from" in str(report)
    data = read(tmp_path / "data/lakh")
    everything = [one for found in data.values() for one in found]
    assert len(everything) == 14
    for pair, own in groupby(everything, lambda one: one.id.rsplit("_", 1)[0]):
        first, second = own
        assert first.speaker == second.speaker and pair.startswith(f"{first.speaker}-")
        font, program = first.speaker.split("_p")
        assert font == "timgm6mb" and first.domain == score.program_name(int(program))
        assert first.duration == second.duration == 8.0
        assert np.abs(first.load(16000) - second.load(16000)).max() > 0.01
    assert all(check(found.path) == [] for found in data.values())
    # the transposed song is in the split of the one that it is a version of
    where = {
        one.id.split("-")[1].split("_")[0]: split for split, found in data.items() for one in found
    }
    (original,) = (
        path.stem
        for path in root.glob("*/*.mid")
        if path not in (broken, drums, transposed)
        and score.fingerprint(score.read(path)[0]) == score.fingerprint(song(0))
    )
    assert where[transposed.stem] == where[original]


def test_test_is_played_with_a_font_of_its_own_where_it_is_installed(
    small_fonts: None,
    small_font: Path,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fonts = tmp_path / "fonts"
    fonts.mkdir()
    (fonts / soundfonts.TIMBRES.files[-1]).symlink_to(small_font)
    monkeypatch.setenv(soundfonts.VARIABLE, str(fonts))
    report = lakh.prepare(corpus, tmp_path / "out", seed=0, nj=2)
    data = read(tmp_path / "out")
    fonts_of = {s: {one.speaker.split("_p")[0] for one in found} for s, found in data.items()}
    assert fonts_of == {
        "train": {"timgm6mb"}, "dev": {"timgm6mb"}, "test": {"timbres_of_heaven"},
    }  # fmt: skip
    assert "test with Timbres Of Heaven, which nothing is trained on" in str(report)


def test_a_second_run_recalls_what_is_there_and_renders_what_is_gone(
    small_fonts: None, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "data/lakh"
    rendered = []
    genuine = rendering.render

    def counted(job: rendering.Rendering) -> np.ndarray:
        rendered.append(job)
        return genuine(job)

    monkeypatch.setattr(rendering, "render", counted)
    with cache.use(tmp_path / "memory"):
        lakh.prepare(corpus, out, seed=0)
        assert len(rendered) == 12
        before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
        with monkeypatch.context() as within:
            within.setattr(score, "read", None)  # no file is looked into again
            lakh.prepare(corpus, out, seed=0)
        assert len(rendered) == 12
        next(out.rglob("*.wav")).unlink()
        lakh.prepare(corpus, out, seed=0)
    assert len(rendered) == 13
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


def test_what_is_not_installed_is_said_first(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DataError, match="fluidsynth: not found on the path"):
        lakh.prepare(corpus, tmp_path / "out", seed=0)
    with pytest.raises(DataError, match="no Lakh MIDI dataset"):
        lakh.prepare(tmp_path / "data", tmp_path / "out", seed=0)
    assert not (tmp_path / "out").exists()


def test_too_few_songs_cannot_be_divided(small_fonts: None, tmp_path: Path) -> None:
    put(tmp_path / "lmd_full", [Track("", 0, True, song(9).notes)])
    with pytest.raises(DataError, match=r"0 usable songs .*no part, but for drums"):
        lakh.prepare(tmp_path, tmp_path / "out", seed=0)

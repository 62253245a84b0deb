"""MUSDB18's compressed edition: one real stem file, and what can be wrong with such files."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vctool import audio
from vctool.acquisition import stems
from vctool.corpora import musdb18
from vctool.data.datadir import DataDir, check
from vctool.errors import DataError


@pytest.fixture(scope="module")
def ffmpeg(needs: Callable[[str], str]) -> None:
    for program in ("ffmpeg", "ffprobe"):
        needs(program)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Path:
    return next((shared_data / "stempeg").glob("*.stem.mp4"))


@pytest.fixture
def corpus(real: Path, tmp_path: Path) -> Path:
    """The layout of the compressed edition, the same six seconds being every song."""
    root = tmp_path / "MUSDB18"
    for place in ("train/One - First", "train/Two - Second", "test/Three - Third"):
        path = root / f"{place}.stem.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(real)
    return root


def test_songs_are_decoded_and_prepared_like_those_of_the_hq_edition(
    ffmpeg: None, corpus: Path, real: Path, tmp_path: Path
) -> None:
    import stempeg

    assert musdb18.find(tmp_path) == musdb18.find(corpus) == corpus
    out = tmp_path / "data/musdb18"
    musdb18.prepare(corpus, out, seed=0, nj=2)
    data = {split: DataDir.read(out / split) for split in ("train", "dev", "test")}
    assert all(check(found.path) == [] for found in data.values())
    assert data["test"].speakers == ("Three",)
    assert set(data["train"].speakers) | set(data["dev"].speakers) == {"One", "Two"}
    one = data["test"].utterances[0]
    assert one.wav == (out / "decoded/test/Three - Third/vocals.wav").resolve()
    assert [path.stem for path in one.accomp] == ["drums", "bass", "other"]
    # the stems are the streams that musdb's own table says they are, in time with the mixture
    assert stems.STREAMS == {"drums": 1, "bass": 2, "other": 3, "vocals": 4}
    streams, rate = stempeg.read_stems(str(real), dtype=np.float32)
    folder = out / "decoded/test/Three - Third"
    waves = {stem: audio.read(folder / f"{stem}.wav")[0] for stem in stems.STREAMS}
    for stem, stream in stems.STREAMS.items():
        assert np.abs(waves[stem] - np.clip(streams[stream].mean(1), -1, 1)).max() < 1e-4
    mixture, total = streams[0].mean(1), np.sum(list(waves.values()), axis=0)
    assert np.corrcoef(mixture, total)[0, 1] > 0.98

    def low(wave: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(wave)) ** 2
        return float(power[: round(200 * len(wave) / rate)].sum() / power.sum())

    assert max(waves, key=lambda stem: low(waves[stem])) in ("bass", "drums")
    assert min(waves, key=lambda stem: low(waves[stem])) in ("vocals", "other")


def test_what_is_decoded_is_not_decoded_again_until_it_changes(
    ffmpeg: None, corpus: Path, tmp_path: Path
) -> None:
    files = sorted(corpus.glob("*/*.stem.mp4"))[:1]
    folders, rejected = stems.decode(files, corpus, tmp_path / "out")
    assert not rejected
    vocals = folders[0] / "vocals.wav"
    before = vocals.stat().st_mtime_ns
    assert stems.decode(files, corpus, tmp_path / "out") == (folders, [])
    assert vocals.stat().st_mtime_ns == before
    (folders[0] / "bass.wav").unlink()  # as where a run was killed
    stems.decode(files, corpus, tmp_path / "out")
    assert (folders[0] / "bass.wav").exists() and vocals.stat().st_mtime_ns > before


def test_damaged_files_are_named(ffmpeg: None, corpus: Path, real: Path, tmp_path: Path) -> None:
    junk = corpus / "train" / "Junk - Junk.stem.mp4"
    junk.write_bytes(b"<html>log in</html>")
    half = corpus / "train" / "Half - Half.stem.mp4"
    half.write_bytes(real.read_bytes()[: real.stat().st_size // 2])
    report = musdb18.prepare(corpus, tmp_path / "data/musdb18", seed=0, nj=2)
    reasons = {one.file.name.split()[0]: one.reason for one in report.rejected}
    assert set(reasons) == {"Junk", "Half"}
    assert reasons["Junk"] == (
        "not a stem file that can be read (Invalid data found when processing input)"
    )
    assert reasons["Half"].startswith("damaged: ")
    assert "Half - Half" not in str(list((tmp_path / "data/musdb18/train").iterdir()))


def test_a_file_with_fewer_streams_is_named(ffmpeg: None, tmp_path: Path) -> None:
    audio.write(tmp_path / "train" / "a.wav", np.full(8000, 0.1, "f4"), 8000)
    file = tmp_path / "train" / "A - B.stem.mp4"
    (tmp_path / "train" / "a.wav").rename(file)  # ffmpeg looks into files, not at their names
    _, rejected = stems.decode([file], tmp_path, tmp_path / "out")
    assert [one.reason for one in rejected] == [
        "holds 1 streams, wanted mixture and drums, bass, other, vocals"
    ]


@pytest.mark.parametrize("missing", ["ffmpeg", "ffprobe"])
def test_a_missing_program_is_said_with_the_remedy(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "MUSDB18" / "train" / "A - B.stem.mp4"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"ftyp")
    for program in {"ffmpeg", "ffprobe"} - {missing}:
        (tmp_path / program).write_text("#!/bin/sh\n")
        os.chmod(tmp_path / program, 0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError) as caught:
        musdb18.prepare(tmp_path / "MUSDB18", tmp_path / "out", seed=0)
    assert str(caught.value) == (
        f"{missing}: not found on the path, and .stem.mp4 files are decoded with it; on Debian and "
        f"Ubuntu: apt-get install ffmpeg (MUSDB18-HQ, in WAV, needs none)"
    )
    assert not (tmp_path / "out").exists()

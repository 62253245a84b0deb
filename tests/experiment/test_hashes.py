"""What stages are judged by: the content of tables and of every file that they name."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vctool import cache
from vctool.data import content
from vctool.experiment import hashes

CORPUS = Path("data/songs")
WAVS = Path("wavs")


def rewrite(path: Path, old: bytes, new: bytes) -> None:
    """Replace bytes in place by as many, and put the time of modification back."""
    before = path.stat()
    assert len(old) == len(new) and old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.fixture(autouse=True)
def corpus(workdir: Path) -> None:
    """Lay out a corpus whose tables name a voice, two backings, and a time map."""
    train = CORPUS / "train"
    for folder in (train, WAVS):
        folder.mkdir(parents=True)
    # as long as a recording: what changes lies far from both ends
    (WAVS / "voice.wav").write_bytes(bytes(200_000) + b"loud" + bytes(200_000))
    (WAVS / "drums.wav").write_bytes(b"slow")
    (WAVS / "bass.wav").write_bytes(b"deep")
    (WAVS / "map.tsv").write_bytes(b"0\t0\n")
    wavs = WAVS.absolute()
    (train / "wav.scp").write_text(f"ann-a {wavs}/voice.wav\n")
    (train / "accomp.scp").write_text(f"ann-a {wavs}/drums.wav\t../../../wavs/bass.wav\n")
    (train / "time_map.scp").write_text(f"ann-a {wavs}/map.tsv\n")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose content is read."""
    names: list[str] = []
    digest: Callable[[Path], str] = content.digest

    def counting(file: Path) -> str:
        names.append(file.name)
        return digest(file)

    monkeypatch.setattr(content, "digest", counting)
    return names


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (WAVS / "voice.wav", b"loud", b"soft"),
        (WAVS / "bass.wav", b"deep", b"high"),
        (WAVS / "map.tsv", b"0\t0", b"0\t1"),
        (CORPUS / "train" / "accomp.scp", b"drums", b"bells"),
    ],
)
def test_what_is_edited_in_place_counts(path: Path, old: bytes, new: bytes) -> None:
    before = hashes.of_data(CORPUS)
    assert hashes.of_data(CORPUS) == before
    rewrite(path, old, new)
    assert hashes.of_data(CORPUS) != before
    rewrite(path, new, old)
    assert hashes.of_data(CORPUS) == before


def test_unchanged_recordings_are_read_once_and_touched_ones_only_read_again(
    read: list[str],
) -> None:
    before = hashes.of_data(CORPUS)
    files = ["bass.wav", "drums.wav", "map.tsv", "voice.wav"]
    assert sorted(read) == sorted([*files, "wav.scp", "accomp.scp", "time_map.scp"])
    read.clear()
    assert hashes.of_data(CORPUS) == before and read == []
    (WAVS / "bass.wav").touch()
    assert hashes.of_data(CORPUS) == before and read == ["bass.wav"]


def test_a_recording_that_is_gone_or_comes_back_counts() -> None:
    before = hashes.of_data(CORPUS)
    drums = WAVS / "drums.wav"
    drums.rename("away")
    gone = hashes.of_data(CORPUS)
    assert gone != before
    assert hashes.of_files([drums]) == {drums: "unreadable: No such file or directory"}
    Path("away").rename(drums)
    assert hashes.of_data(CORPUS) == before


def test_where_nothing_may_be_written_everything_is_read_each_time(
    read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    before = hashes.of_data(CORPUS)
    assert not cache.MEASURED.exists() and len(read) == 7
    rewrite(WAVS / "voice.wav", b"loud", b"soft")
    assert hashes.of_data(CORPUS) != before and len(read) == 14

"""Only what a stage has noted is removed, and links stay."""

from pathlib import Path

import numpy as np
import pytest

from vctool.data.store import StoreWriter
from vctool.errors import DataError
from vctool.experiment import written


def make(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("result")
    return path


def test_what_was_noted_goes_and_what_a_user_put_there_stays(tmp_path: Path) -> None:
    exp = tmp_path / "exp" / "toy"
    paths = [
        exp / "wav" / "a.wav",
        exp / "wav_shuffled" / "a.wav",
        exp / "wav" / "x_to_y" / "b.wav",
    ]
    written.note(exp, "synthesize", paths)
    for path in paths:
        make(path)
    own = [make(exp / name) for name in ("wav_before/a.wav", "wav_before/notes.md", "wav/notes.md")]
    written.note(exp, "infer", [exp / "infer" / "world"])
    with StoreWriter(exp / "infer" / "world", "world", {}) as store:
        store.write("a", np.zeros((2, 3), np.float32))
    written.remove(exp, "synthesize")
    assert all(path.is_file() for path in own)
    assert (exp / "infer" / "world" / "feats.scp").is_file()
    written.remove(exp, "infer")
    left = {path.relative_to(exp).as_posix() for path in exp.rglob("*")}
    assert left == {
        *("stages", "wav", "wav/notes.md", "wav_before", "wav_before/a.wav"),
        "wav_before/notes.md",
    }


def test_a_link_to_another_disk_is_emptied_and_stays(tmp_path: Path) -> None:
    exp, disk = tmp_path / "exp" / "toy", tmp_path / "disk"
    for folder in (exp, disk / "wav", disk / "infer"):
        folder.mkdir(parents=True)
    (exp / "wav").symlink_to(disk / "wav")
    (exp / "infer").symlink_to(disk / "infer")
    written.note(exp, "synthesize", [exp / "wav" / "x_to_y" / "a.wav"])
    make(exp / "wav" / "x_to_y" / "a.wav")
    written.note(exp, "infer", [exp / "infer" / "matched" / "world"])
    with StoreWriter(exp / "infer" / "matched" / "world", "world", {}):
        pass
    for stage in ("synthesize", "infer"):
        written.remove(exp, stage)
    assert (exp / "wav").is_symlink() and (exp / "infer").is_symlink()
    assert sorted(disk.rglob("*")) == [disk / "infer", disk / "wav"]


def test_a_stranger_at_a_result_s_place_is_never_taken_for_one(tmp_path: Path) -> None:
    exp = tmp_path / "exp" / "toy"
    one, other = make(exp / "wav" / "a.wav"), exp / "wav" / "b.wav"
    written.note(exp, "synthesize", [one, other])
    assert not one.exists()
    make(one)
    written.note(exp, "synthesize", [one])
    assert one.exists()


@pytest.mark.parametrize("line", ["/etc/passwd", "../other/wav/a.wav", ""])
def test_a_list_that_leads_elsewhere_is_refused(tmp_path: Path, line: str) -> None:
    make(tmp_path / "exp" / "stages" / "infer.files").write_text(f"infer/a\n{line}\n")
    with pytest.raises(DataError, match=r"infer\.files: names '.*', which no stage writes"):
        written.remove(tmp_path / "exp", "infer")

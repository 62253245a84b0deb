import ctypes
import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from vctool import durable
from vctool.data.atomic import commit_text, write_text
from vctool.errors import DataError


def test_text_replaces_what_was_there_and_leaves_nothing_beside(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "x", "old")
    with (tmp_path / "new" / "x").open() as reader:
        write_text(tmp_path / "new" / "x", "grüße\n")
        assert reader.read() == "old"  # who reads meanwhile sees the whole old text
    assert (tmp_path / "new" / "x").read_bytes() == "grüße\n".encode()
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["x"]


@pytest.mark.parametrize(("name", "text"), [("x/y", "fine"), ("z", "\udcff")])
def test_what_cannot_be_written_is_one_line_and_changes_nothing(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / "x").write_text("kept")
    with pytest.raises(DataError, match="cannot be written"):
        write_text(tmp_path / name, text)
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_text() == "kept"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the system, in order."""
    seen: list[str] = []

    def fsync(file: int) -> None:
        path = os.readlink(f"/proc/self/fd/{file}")
        seen.append("folder" if os.path.isdir(path) else f"file of {os.path.getsize(path)} bytes")

    def syncfs(file: int) -> int:
        seen.append("file system")
        return 0

    def replaced(source: Path, target: Path) -> None:
        seen.append("rename")
        replace(source, target)

    replace = os.replace
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(durable, "_libc", SimpleNamespace(syncfs=syncfs))
    return seen


def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_it_returns(
    tmp_path: Path, calls: list[str]
) -> None:
    write_text(tmp_path / "x", "12345", durable=True)
    assert calls == ["file of 5 bytes", "rename", "folder"]
    calls.clear()
    write_text(tmp_path / "x", "in a loop")
    assert calls == ["rename"]


def test_what_a_file_vouches_for_is_on_the_disk_before_it(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "exp").mkdir()
    commit_text(tmp_path / "exp" / "done", "123", beside=(tmp_path, tmp_path / "none"))
    # one file system holds both
    assert calls == ["file system", "file of 3 bytes", "rename", "folder"]


def test_a_disk_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(file: int) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr(durable, "_libc", SimpleNamespace(syncfs=fails))
    with pytest.raises(DataError, match="cannot be written: Input/output error"):
        commit_text(tmp_path / "done", "123")
    assert not (tmp_path / "done").exists()

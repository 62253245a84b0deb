from pathlib import Path

import pytest

from vctool.data.atomic import write_text
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

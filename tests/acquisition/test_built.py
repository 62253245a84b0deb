"""A corpus that is built here appears whole or not at all."""

from pathlib import Path

import pytest

from vctool.acquisition.built import building
from vctool.errors import DataError


def _held(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): one.read_text() for one in folder.rglob("*.txt")}


def test_a_new_build_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "corpora/toy").mkdir(parents=True)
    (tmp_path / "corpora/toy/old.txt").write_text("old")
    with building(tmp_path / "corpora/toy") as beside:
        (beside / "wav").mkdir(parents=True)
        (beside / "wav/new.txt").write_text("new")
        assert _held(tmp_path / "corpora/toy") == {"old.txt": "old"}
    assert _held(tmp_path) == {"corpora/toy/wav/new.txt": "new"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError])
def test_a_build_that_fails_leaves_what_was_there(
    tmp_path: Path, error: type[BaseException]
) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/old.txt").write_text("old")
    with pytest.raises(error), building(tmp_path / "toy") as beside:
        beside.mkdir()
        (beside / "half.txt").write_text("half")
        raise error
    assert _held(tmp_path) == {"toy/old.txt": "old"}
    assert [one.name for one in tmp_path.iterdir()] == ["toy"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "corpora").write_text("a file, not a folder")
    with pytest.raises(DataError, match=r"corpora/toy: cannot be written: "):
        with building(tmp_path / "corpora/toy"):
            pass

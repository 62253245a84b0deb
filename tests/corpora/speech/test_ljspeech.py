from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vctool.corpora import ljspeech
from vctool.errors import DataError


def fill(root: Path, sections: int, clips: int, put: Callable[..., None]) -> None:
    rows = []
    for section in range(1, sections + 1):
        for k in range(1, clips + 1):
            name = f"LJ{section:03d}-{k:04d}"
            put(root / "wavs" / f"{name}.wav", 22050)
            rows.append(f'{name}|"Printing" in {1454 + k}|"Printing" in fourteen hundred')
    (root / "metadata.csv").write_text("\n".join(rows))


def test_whole_sections_are_held_out(
    tmp_path: Path, prepared: Callable[..., Any], put: Callable[..., None]
) -> None:
    fill(tmp_path / "LJSpeech-1.1", 10, 3, put)
    (tmp_path / "LJSpeech-1.1" / "wavs" / "LJ004-0002.wav").write_bytes(b"RIFF")
    found = prepared(ljspeech, tmp_path)
    assert found.apart(ljspeech.section) and found.report.disjoint_by == "section of a book"
    assert {split: len(names) for split, names in found.of(ljspeech.section).items()} == {
        "train": 7, "dev": 1, "test": 2,
    }  # fmt: skip
    one = found.all["LJ-LJ001-0001"]
    assert one.speaker == "LJ" and one.text == '"Printing" in fourteen hundred'
    assert list(found.rejected) == ["LJ004-0002.wav"]


def test_a_copy_of_one_section_holds_out_time(
    tmp_path: Path, prepared: Callable[..., Any], put: Callable[..., None]
) -> None:
    fill(tmp_path / "LJSpeech-1.1", 1, 10, put)
    found = prepared(ljspeech, tmp_path)
    assert "block of reading time" in found.report.disjoint_by
    assert len(found.splits["test"]) == 2 and len(found.splits["train"]) == 7


def test_another_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no LJSpeech 1.1 there; expected LJSpeech-1.1/wavs"):
        ljspeech.prepare(tmp_path, tmp_path / "out", seed=0)

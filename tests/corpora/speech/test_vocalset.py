from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vctool.corpora import vocalset
from vctool.errors import DataError

SINGERS = (*(f"female{k}" for k in range(1, 6)), *(f"male{k}" for k in range(1, 7)))
FILES = ("arpeggios/belt/{}_arpeggios_belt_a", "excerpts/spoken/{}_row_spoken")


def fill(root: Path, folder: str, put: Callable[..., None]) -> None:
    for singer in SINGERS:
        short = singer.replace("female", "f").replace("male", "m")
        for name in FILES:
            put(root / folder / singer / f"{name.format(short)}.wav", 44100)
    put(root / folder / "male6" / "excerpts" / "vibrato" / "m7_caro_vibrato.wav", 44100)
    (root / "__MACOSX" / folder / "male1").mkdir(parents=True)
    noise = root / folder / "male1" / "arpeggios" / "belt" / "._m1_arpeggios_belt_a.wav"
    noise.write_bytes(b"Mac OS X")


def test_the_publishers_test_singers_and_one_of_each_sex_for_validation(
    tmp_path: Path, prepared: Callable[..., Any], put: Callable[..., None]
) -> None:
    fill(tmp_path / "VocalSet", "FULL", put)
    (tmp_path / "VocalSet" / "test_singers_technique.txt").write_text("female2\nmale3\r\nmale9\n")
    found = prepared(vocalset, tmp_path)
    assert found.apart(lambda one: one.speaker) and "publisher" in found.report.disjoint_by
    assert found.splits["test"].speakers == ("female2", "male3")
    assert len(found.splits["dev"].speakers) == 1 and len(found.splits["train"].speakers) == 8
    one = found.all["female1-arpeggios_belt_f1_arpeggios_belt_a"]
    assert (one.domain, one.text) == ("singing", None)
    assert found.all["female1-excerpts_spoken_f1_row_spoken"].domain == "speech"
    # the folder says who sings, not the file's name
    assert found.all["male6-excerpts_vibrato_m7_caro_vibrato"].speaker == "male6"
    assert not found.rejected


def test_without_the_list_singers_of_both_sexes_are_drawn(
    tmp_path: Path, prepared: Callable[..., Any], put: Callable[..., None]
) -> None:
    fill(tmp_path / "VocalSet1-2", "data_by_singer", put)
    found = prepared(vocalset, tmp_path)
    assert found.report.disjoint_by == "speaker" and found.apart(lambda one: one.speaker)
    assert {name.rstrip("0123456789") for name in found.splits["test"].speakers} == {
        "female", "male",
    }  # fmt: skip


def test_both_versions_at_once_are_taken_once(
    tmp_path: Path, prepared: Callable[..., Any], put: Callable[..., None]
) -> None:
    fill(tmp_path / "VocalSet", "FULL", put)
    fill(tmp_path / "VocalSet", "data_by_singer", put)
    assert {one.wav.parts[-5] for one in prepared(vocalset, tmp_path).all.values()} == {"FULL"}


def test_another_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no VocalSet 1.1 there; expected VocalSet"):
        vocalset.prepare(tmp_path, tmp_path / "out", seed=0)

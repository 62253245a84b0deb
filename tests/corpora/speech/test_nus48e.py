from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vctool.corpora import nus48e
from vctool.errors import DataError

SINGERS = ("ADIZ", "JLEE", "JTAN", "KENN", "MCUR", "MPOL", "NJAT", "SAMF")
SONGS = ("01", "02", "08", "18")
RATE = 44100


def fill(
    root: Path, singers: tuple[str, ...], songs: tuple[str, ...], put: Callable[..., None]
) -> None:
    """Ten seconds a song: two phrases with a rest between, and the publisher's phone labels."""
    clock = np.arange(10 * RATE) / RATE
    sounds = ((clock > 0.5) & (clock < 4)) | ((clock > 6.5) & (clock < 9.5))
    for singer in singers:
        for kind, pitch in {"sing": 400, "read": 120}.items():
            for song in songs:
                wave = 0.3 * sounds * np.sin(2 * np.pi * pitch * clock)
                put(root / singer / kind / f"{song}.wav", RATE, wave=wave)
                (root / singer / kind / f"{song}.txt").write_text("0.000000 0.500000 sil\n")
    (root / "README.txt").write_text("The NUS corpus\n")


def test_singers_are_held_out_and_both_domains_are_cut_into_phrases(
    tmp_path: Path, prepared: Callable[..., Any], put: Callable[..., None]
) -> None:
    fill(tmp_path / "nus-smc-corpus_48", SINGERS, SONGS[:1], put)
    (tmp_path / "nus-smc-corpus_48" / "ADIZ" / "sing" / "._01.wav").write_bytes(b"Mac OS X")
    put(tmp_path / "nus-smc-corpus_48" / "KENN" / "sing" / "20.wav", RATE, wave=np.zeros(RATE))
    found = prepared(nus48e, tmp_path)
    assert found.report.disjoint_by == "singer" and found.apart(lambda one: one.speaker)
    assert all(data.domains == ("singing", "speech") for data in found.splits.values())
    assert {len(data.speakers) for data in found.splits.values()} == {1, 2, 5}
    phrases = [one for key, one in found.all.items() if key.startswith("ADIZ-sing_01_")]
    assert len(phrases) == 2 and {one.domain for one in phrases} == {"singing"}
    for one, (start, end) in zip(phrases, ((0.5, 4), (6.5, 9.5)), strict=True):
        assert one.start is not None and one.end is not None
        assert one.start < start < end < one.end and one.duration < 4.5
    assert {one.domain for key, one in found.all.items() if "-read_" in key} == {"speech"}
    assert list(found.rejected) == ["20.wav"] and "silent" in found.rejected["20.wav"]


def test_few_singers_hold_out_songs_sung_and_read(
    tmp_path: Path, prepared: Callable[..., Any], put: Callable[..., None]
) -> None:
    fill(tmp_path / "nus-smc-corpus_48", SINGERS[:2], SONGS, put)
    found = prepared(nus48e, tmp_path)
    assert (
        found.apart(lambda one: (one.speaker, one.wav.stem))
        and "only 2 singers" in found.report.disjoint_by
    )
    for data in found.splits.values():
        assert data.speakers == SINGERS[:2] and data.domains == ("singing", "speech")


def test_it_is_asked_for_and_another_folder_is_one_line(tmp_path: Path) -> None:
    assert nus48e.INFO.non_commercial and "research only" in str(nus48e.INFO.consent)
    assert not nus48e.INFO.archives
    with pytest.raises(DataError, match="no NUS-48E Sung and Spoken"):
        nus48e.prepare(tmp_path, tmp_path / "out", seed=0)

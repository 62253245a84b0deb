from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vctool.corpora import cmu_arctic
from vctool.errors import DataError

SENTENCES = [f"arctic_{part}{k:04d}" for part in "ab" for k in range(1, 16)]
SPEAKERS = {"bdl": SENTENCES, "slt": SENTENCES, "gka": SENTENCES[:15]}


@pytest.fixture
def corpus(tmp_path: Path, put: Callable[..., None]) -> Path:
    for speaker, sentences in SPEAKERS.items():
        folder = tmp_path / "ARCTIC" / f"cmu_us_{speaker}_arctic"
        for sentence in sentences:
            put(folder / "wav" / f"{sentence}.wav", 16000)
        (folder / "etc").mkdir()
        lines = [f'( {sentence} "Say ""{sentence}"", Philip. " )' for sentence in sentences]
        (folder / "etc" / "txt.done.data").write_text("\n".join(lines))
    return tmp_path


def test_sentences_are_held_out_for_all_speakers(
    corpus: Path, prepared: Callable[..., Any]
) -> None:
    found = prepared(cmu_arctic, corpus)
    assert found.apart(lambda one: one.sentence)
    assert all(data.speakers == ("bdl", "gka", "slt") for data in found.splits.values())
    assert len(found.all) == 75
    for data in found.splits.values():
        said = {s: {one.sentence for one in data if one.speaker == s} for s in SPEAKERS}
        assert said["bdl"] == said["slt"] >= said["gka"]
    assert len({one.sentence for one in found.splits["test"]}) >= 3
    one = found.all["bdl-arctic_a0001"]
    assert one.text == 'Say ""arctic_a0001"", Philip.'
    assert one.sentence == found.all["slt-arctic_a0001"].sentence == "arctic_a0001"


def test_other_files_and_other_folders_are_passed_over(
    corpus: Path, prepared: Callable[..., Any], put: Callable[..., None]
) -> None:
    put(corpus / "ARCTIC" / "cmu_us_bdl_arctic" / "wav" / "sample.wav", 16000)
    put(corpus / "ARCTIC" / "cmu_us_slt_arctic" / "orig" / "arctic_a0001.wav", 32000)
    (corpus / "ARCTIC" / "cmu_us_slt_arctic" / "wav" / "arctic_a0002.wav").write_bytes(b"")
    found = prepared(cmu_arctic, corpus)
    assert len(found.all) == 74 and list(found.rejected) == ["arctic_a0002.wav"]
    assert {one.wav.parent.name for one in found.all.values()} == {"wav"}


def test_every_speaker_can_be_fetched_alone() -> None:
    subsets = cmu_arctic.INFO.subsets
    assert len(subsets) == 18 and {"bdl", "clb", "rms", "slt"} < {one.name for one in subsets}
    for one in subsets:
        assert one.archives[0].file == f"cmu_us_{one.name}_arctic.tar.bz2"


def test_another_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no CMU ARCTIC there; expected ARCTIC"):
        cmu_arctic.prepare(tmp_path, tmp_path / "out", seed=0)

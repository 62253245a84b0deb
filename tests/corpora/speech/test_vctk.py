import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vctool import corpora
from vctool.acquisition.archive import Archive
from vctool.corpora import vctk, vctk_mic2, vctk_parallel
from vctool.errors import DataError

WOMEN = ("p225", "p228", "p229", "p230", "p231")
MEN = ("p226", "p227", "p232", "p280", "s5")
COMMON = {"001": "Please call Stella.", "002": "Ask her to bring these things."}


@pytest.fixture
def corpus(tmp_path: Path, put: Callable[..., None]) -> Path:
    """Ten speakers: two sentences that all read, four of their own; the publisher's odd cases."""
    root = tmp_path / "VCTK-Corpus-0.92"
    rows = ["ID  AGE  GENDER  ACCENTS  REGION COMMENTS "]
    for speaker in sorted((*WOMEN, *MEN)):
        rows.append(f"{speaker}  23  {'F' if speaker in WOMEN else 'M'}    English    Surrey")
        own = {f"{k:03d}": f"{speaker} reads sentence {k}." for k in range(3, 7)}
        for number, text in (COMMON | own).items():
            for microphone in (1, 2):
                if (speaker, microphone) != ("p280", 2):
                    name = f"{speaker}/{speaker}_{number}_mic{microphone}.flac"
                    put(root / "wav48_silence_trimmed" / name, 48000)
            if speaker != "s5":  # its transcripts are lost
                transcript = root / "txt" / speaker / f"{speaker}_{number}.txt"
                transcript.parent.mkdir(parents=True, exist_ok=True)
                transcript.write_text(f"{text}\n")
    (root / "wav48_silence_trimmed" / "log.txt").write_text("p225_001 0.1 2.0\n")
    (root / "speaker-info.txt").write_text("\n".join(rows))
    audio = root / "wav48_silence_trimmed" / "p225"
    put(audio / "p225_007_mic1.flac", 48000, wave=np.zeros(48000))
    (audio / "p225_008_mic1.flac").write_bytes(b"fLaC")
    return tmp_path


def test_speakers_are_held_out_whole_a_woman_and_a_man_in_turn(
    corpus: Path, prepared: Callable[..., Any]
) -> None:
    found = prepared(vctk, corpus, seed=4)  # which draws two women first of all ten
    assert found.report.disjoint_by == "speaker" and found.apart(lambda one: one.speaker)
    test = found.splits["test"].speakers
    assert len(set(test) & set(WOMEN)) == len(set(test) & set(MEN)) == 1
    assert {one.wav.stem[-1] for one in found.all.values()} == {"1"}
    assert len(found.all) == 60
    one = found.all["p226-001"]
    assert (one.text, one.sentence) == ("Please call Stella.", "please_call_stella")
    assert found.all["p280-001"].sentence == one.sentence
    assert found.all["s5-001"].text is found.all["s5-001"].sentence is None
    assert "silent" in found.rejected["p225_007_mic1.flac"]
    assert "not audio" in found.rejected["p225_008_mic1.flac"]


def test_the_second_microphone_has_the_same_splits(
    corpus: Path, prepared: Callable[..., Any]
) -> None:
    first, second = prepared(vctk, corpus), prepared(vctk_mic2, corpus)
    assert {one.wav.stem[-1] for one in second.all.values()} == {"2"}
    assert "p280-001" in first.all and "p280-001" not in second.all
    for split, data in second.splits.items():
        assert set(data.speakers) == set(first.splits[split].speakers) - {"p280"}


def test_sentences_that_all_read_are_for_scoring_between_speakers(
    corpus: Path, prepared: Callable[..., Any]
) -> None:
    found = prepared(vctk_parallel, corpus)
    assert found.apart(lambda one: one.sentence) and found.report.disjoint_by == "sentence"
    readers = {*WOMEN, *MEN} - {"s5"}
    assert {one.id for one in found.splits["test"]} == {f"{r}-{n}" for r in readers for n in COMMON}
    assert all(set(data.speakers) == readers for data in found.splits.values())
    assert len(found.splits["dev"]) == len(readers)
    assert "no transcript" in found.rejected["s5_001_mic1.flac"]


def test_a_copy_with_two_speakers_holds_out_time(
    corpus: Path, prepared: Callable[..., Any]
) -> None:
    root = corpus / "VCTK-Corpus-0.92" / "wav48_silence_trimmed"
    for folder in root.iterdir():
        if folder.name not in ("p226", "p228", "log.txt"):
            folder.rename(corpus / folder.name)
    found = prepared(vctk, corpus)
    assert "block of reading time" in found.report.disjoint_by
    assert all(data.speakers == ("p226", "p228") for data in found.splits.values())


def test_another_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no VCTK"):
        vctk.find(tmp_path)
    with pytest.raises(DataError, match=r"no VCTK 0.92 \(microphone 2\) there; expected"):
        vctk_mic2.prepare(tmp_path, tmp_path / "out", seed=0)


def test_all_versions_are_fetched_once(
    corpus: Path,
    tmp_path: Path,
    prepared: Callable[..., Any],
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packed = shutil.make_archive(str(tmp_path / "a"), "zip", corpus / "VCTK-Corpus-0.92")
    server.files["VCTK.zip"] = Path(packed).read_bytes()
    archives = (Archive(server.url("VCTK.zip"), "a test"),)
    for module in (vctk, vctk_mic2, vctk_parallel):
        monkeypatch.setattr(module, "INFO", replace(module.INFO, archives=archives))
    found = {corpora.download(name, tmp_path / "new") for name in ("vctk", "vctk_mic2")}
    assert found == {corpora.download("vctk_parallel", tmp_path / "new")}
    assert len(server.ranges) == 1
    assert len(prepared(vctk_mic2, found.pop()).all) == 54

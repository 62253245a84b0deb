from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vctool.corpora import tedlium3
from vctool.errors import DataError

RATE = 16000


@pytest.fixture
def corpus(tmp_path: Path, put: Callable[..., None]) -> Path:
    root = tmp_path / "TEDLIUM_release-3"
    talks = {
        "legacy/train": ("AaronHuey_2010X", "AlGore_2006", "AlGore_2009"),
        "legacy/dev": ("BlaiseAguerayArcas_2007",),
        "legacy/test": ("GaryFlake_2010",),
    }
    for folder, names in talks.items():
        for talk in names:
            # four seconds that get louder, one step a second
            steps = np.repeat([0.1, 0.2, 0.3, 0.4], RATE)
            wave = steps * np.sin(2 * np.pi * 200 * np.arange(4 * RATE) / RATE)
            put(root / folder / "sph" / f"{talk}.sph", RATE, wave=wave)
            lines = [
                ";; CATEGORY",
                f"{talk} 1 {talk} 0.00 1.00 <o,f0,male> i 'm <unk> a {{NOISE}} photographer(2)",
                f"{talk} 1 {talk} 1.00 2.00 <o,f0,female> ignore_time_segment_in_scoring",
                f"{talk} 1 {talk} 2.00 3.00 <o,f0,male> it 's what they 'd call 'em",
                f"{talk} 1 {talk} 3.00 3.10 <o,f0,male> oh",
            ]
            (root / folder / "stm").mkdir(exist_ok=True)
            (root / folder / "stm" / f"{talk}.stm").write_text("\n".join(lines))
    return tmp_path


def test_segments_of_talks_in_the_publishers_splits(
    corpus: Path, prepared: Callable[..., Any]
) -> None:
    found = prepared(tedlium3, corpus)
    assert found.of(lambda one: one.speaker) == {
        "train": {"AaronHuey", "AlGore"},
        "dev": {"BlaiseAguerayArcas"},
        "test": {"GaryFlake"},
    }
    train = [one.id for one in found.splits["train"] if one.speaker == "AlGore"]
    assert train == [
        f"AlGore-{year}_{ms}" for year in (2006, 2009) for ms in ("0000000", "0002000")
    ]
    one, other = found.splits["dev"].utterances
    assert (one.text, other.text) == ("i'm a photographer", "it's what they'd call 'em")
    assert (other.start, other.end, other.recording) == (2, 3, "BlaiseAguerayArcas-2007")
    # the sound is that of the stretch: the third of four steps in loudness
    assert np.abs(other.load(RATE)).max() == pytest.approx(0.3, abs=0.01)
    assert not found.rejected


def test_training_talks_may_lie_in_data_alone(corpus: Path, prepared: Callable[..., Any]) -> None:
    root = corpus / "TEDLIUM_release-3"
    (root / "legacy" / "train").rename(root / "data")
    for kind in ("sph", "stm"):  # talks of dev and test stay out of train wherever they lie
        name = f"GaryFlake_2010.{kind}"
        (root / "data" / kind / name).write_bytes(
            (root / "legacy" / "test" / kind / name).read_bytes()
        )
    found = prepared(tedlium3, corpus)
    assert found.apart(lambda one: one.speaker)
    assert found.splits["train"].speakers == ("AaronHuey", "AlGore")


def test_segments_beyond_their_talk_and_talks_without_words_are_named(
    corpus: Path, prepared: Callable[..., Any], put: Callable[..., None]
) -> None:
    train = corpus / "TEDLIUM_release-3" / "legacy" / "train"
    stm = train / "stm" / "AlGore_2006.stm"
    extra = ["3.50 9.00", "2.00 1.00", "x 1.00"]
    lines = [f"AlGore_2006 1 AlGore_2006 {times} <o,f0,male> words" for times in extra]
    stm.write_text(stm.read_text() + "\n" + "\n".join(lines))
    put(train / "sph" / "NoWords_2001.sph", RATE)
    (train / "sph" / "Cut_2001.sph").write_bytes(
        (train / "sph" / "AlGore_2009.sph").read_bytes()[:20000]
    )
    (train / "stm" / "Cut_2001.stm").write_text("Cut_2001 1 Cut 0.0 1.0 <o> words\n")
    found = prepared(tedlium3, corpus)
    assert found.rejected["AlGore_2006.sph"] == "segments beyond its end, or not in order: 3"
    assert "NoWords_2001.stm" in found.rejected["NoWords_2001.sph"]
    assert len([one for one in found.all if one.startswith("AlGore-2006")]) == 2


def test_another_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no TED-LIUM 3 there; expected TEDLIUM_release-3"):
        tedlium3.prepare(tmp_path, tmp_path / "out", seed=0)

"""Scoring folders of recordings that any system made."""

from pathlib import Path

import numpy as np
import pytest

from vctool import audio
from vctool.errors import DataError
from vctool.stages.scoring.folders import ENOUGH, MOST, gather

RATE = 16000


def fill(folder: Path, names: list[str]) -> Path:
    """Write very short recordings; gathering asks for names alone."""
    for name in names:
        audio.write(folder / f"{name}.wav", np.full(10, 0.1, np.float32), RATE)
    return folder


def stems(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


SENTENCES = [f"2000{index:02d}" for index in range(1, 25)]


def test_parallel_folders_are_scored_on_what_they_share(tmp_path: Path) -> None:
    made = fill(tmp_path / "made", [f"{name}.TM3" for name in SENTENCES[:12]])
    source = fill(tmp_path / "source", [f"SF1-{name}" for name in SENTENCES])
    target = fill(tmp_path / "target", [f"TM3-{name}" for name in SENTENCES])
    found = gather(made, target, source, made / "evaluation")
    assert found.names == [f"SF1-{name}" for name in SENTENCES[:12]]
    assert stems(found.sources) == found.names
    assert stems(found.outputs) == [f"{name}.TM3" for name in SENTENCES[:12]]
    assert found.targets is not None and found.targets == found.target_recordings
    assert stems(found.targets) == [f"TM3-{name}" for name in SENTENCES[:12]]
    # what is scored teaches the anchors nothing
    assert stems(found.source_training) == [f"SF1-{name}" for name in SENTENCES[12:]]
    assert stems(found.target_training) == [f"TM3-{name}" for name in SENTENCES[12:]]
    assert found.cautions == found.notes == []


def test_other_sentences_are_an_unpaired_reference(tmp_path: Path) -> None:
    made = fill(tmp_path / "made", SENTENCES[:12])
    source = fill(tmp_path / "source", SENTENCES)
    target = fill(tmp_path / "target", [f"TM3-9{index:02d}" for index in range(20)])
    found = gather(made, target, source, tmp_path / "out")
    assert found.targets is None and len(found.target_recordings) == 10
    assert not set(found.target_recordings) & set(found.target_training)
    # equal numbers need not be equal sentences: the user may say so
    same = fill(tmp_path / "same", SENTENCES)
    assert gather(made, same, source, tmp_path / "out").targets is not None
    assert gather(made, same, source, tmp_path / "out", unpaired=True).targets is None


def test_what_flatters_or_is_left_out_is_said(tmp_path: Path) -> None:
    made = fill(tmp_path / "made", [*SENTENCES[:4], "999999"])
    source = fill(tmp_path / "source", SENTENCES[:4])
    target = fill(tmp_path / "target", [*SENTENCES[1:4], *SENTENCES[10:20]])
    found = gather(made, target, source, tmp_path / "out")
    told = "\n".join(found.notes + found.cautions)
    assert "1 conversion(s) without a source are left out: 999999" in told
    assert "1 source(s) without a reference are left out: 200001" in told
    assert f"1 recording(s) of the source in {source} are not scored" in told
    assert "of the target in" not in told  # ten that are not scored
    assert found.names == SENTENCES[1:4]
    assert stems(found.source_training) == SENTENCES[:4]
    assert len(found.target_training) == 10 >= ENOUGH


def test_results_below_the_recordings_are_no_recordings(tmp_path: Path) -> None:
    made = fill(tmp_path, SENTENCES[:3])
    fill(tmp_path / "evaluation", ["200001"])
    source = fill(tmp_path / "source", SENTENCES)
    target = fill(tmp_path / "target", SENTENCES)
    found = gather(made, target, source, tmp_path / "evaluation")
    assert found.outputs == [tmp_path / f"{name}.wav" for name in SENTENCES[:3]]


def test_many_recordings_are_thinned_evenly(tmp_path: Path) -> None:
    names = [f"{index:04d}" for index in range(2 * MOST + 30)]
    made = fill(tmp_path / "made", names[:20])
    source = fill(tmp_path / "source", names)
    found = gather(made, source, source, tmp_path / "out")
    assert MOST / 2 <= len(found.source_training) <= MOST
    assert stems(found.source_training)[-1] > names[-5]


def test_folders_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    made = fill(tmp_path / "made", ["a_1", "a_2"])
    source = fill(tmp_path / "source", ["x7", "x8"])
    with pytest.raises(DataError, match=r"0 of 2 recordings have a source.*'a_1' and 'x7'"):
        gather(made, source, source, tmp_path / "out")
    with pytest.raises(DataError, match=r"nowhere: no such folder; .* hold the references"):
        gather(made, tmp_path / "nowhere", made, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: holds no audio; .* hold the sources"):
        gather(made, made, tmp_path / "empty", tmp_path / "out")
    (made / "a_1.flac").write_bytes((made / "a_1.wav").read_bytes())
    with pytest.raises(DataError, match=r"a_1\.wav: differs from .*a_1\.flac by its ending"):
        gather(made, source, source, tmp_path / "out")
    for clash in ("p/1", "p_1"):
        fill(tmp_path / "both", [clash])
    with pytest.raises(DataError, match="another source has the same name"):
        gather(tmp_path / "both", tmp_path / "both", tmp_path / "both", tmp_path / "out")

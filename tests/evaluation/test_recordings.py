"""Which files of a folder are scored."""

from pathlib import Path

import numpy as np
import pytest

from vctool import audio
from vctool.evaluation.folders import recordings


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["a.singing", "a.singing.mix"], ["a.singing"]),
        (["a.double1", "a.double2", "a.double.mix"], ["a.double1", "a.double2"]),
        (["d/a", "d/a.mix", "a.mix"], ["a.mix", "d/a"]),  # of another folder, so not its mix
        (["a.mix"], ["a.mix"]),
        (["ab", "a.mix"], ["a.mix", "ab"]),
        (["a.remix", "a"], ["a", "a.remix"]),
    ],
)
def test_mixes_beside_what_they_are_made_of_are_not_scored(
    tmp_path: Path, names: list[str], kept: list[str]
) -> None:
    for name in names:
        audio.write(tmp_path / f"{name}.wav", np.zeros(160, np.float32), 16000)
    assert sorted(recordings(tmp_path, "takes", ())) == kept

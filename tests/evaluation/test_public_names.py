"""What `vctool.evaluation` offers to scripts."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from vctool import evaluation


def test_every_name_is_there_and_nothing_else() -> None:
    for name in evaluation.__all__:
        assert getattr(evaluation, name).__name__ == name
    assert set(evaluation._HOMES) == set(evaluation.__all__)
    with pytest.raises(AttributeError, match="no attribute 'bord'"):
        _ = evaluation.bord


def test_naming_the_package_imports_nothing_heavy() -> None:
    code = "import sys, vctool.evaluation; print(sorted({'numpy', 'torch'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_script_sets_a_model_beside_the_baselines(
    say: Callable[..., np.ndarray], no_judges: None
) -> None:
    waves = {who: [say(number, who, 0.3) for number in range(4)] for who in ("low", "high")}
    task = evaluation.VoiceTask(
        16000,
        waves["low"][:2],
        waves["high"][:2],
        waves["high"][:2],
        waves["high"][2:],
        waves["low"][2:],
    )
    board = evaluation.anchored_board(task)
    board.add("model", waves["high"][:2])
    lines = evaluation.markdown(board.scores(100)).splitlines()
    assert lines[0].startswith("| system | content kept |")
    assert {"target", "copy", "mean-variance", "model"} <= {
        line.split(" | ")[0].removeprefix("| ") for line in lines
    }

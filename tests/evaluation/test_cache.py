"""What judges said is remembered by the recordings' samples, and spoilt memories are not used."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vctool.evaluation.cache import Memory


class Judge:
    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, waves: Sequence[np.ndarray], rate: int) -> np.ndarray:
        self.asked.append(len(waves))
        return np.array([[wave.sum(), rate] for wave in waves], dtype=float)


def test_only_new_recordings_are_judged_even_in_a_later_run(tmp_path: Path) -> None:
    first, second = np.ones(10), np.full(10, 2.0)
    judge = Judge()
    memory = Memory(tmp_path / "judged")
    said = memory("deep", [first, second, first], 16000, judge)
    np.testing.assert_array_equal(said[:, 0], [10, 20, 10])
    later = Memory(tmp_path / "judged")
    changed = second.copy()
    changed[3] += 0.25
    said = later("deep", [changed, second, first], 16000, judge)
    np.testing.assert_array_equal(said[:, 0], [20.25, 20, 10])
    assert judge.asked == [2, 1]


def test_other_judges_and_other_rates_are_asked(tmp_path: Path) -> None:
    judge = Judge()
    memory = Memory(tmp_path)
    for name, rate in (("deep", 16000), ("wide", 16000), ("deep", 8000), ("deep", 16000)):
        assert memory(name, [np.ones(4)], rate, judge)[0, 1] == rate
    assert judge.asked == [1, 1, 1]


def test_a_spoilt_memory_is_said_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    judge = Judge()
    Memory(tmp_path)("deep", [np.ones(4)], 16000, judge)
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:40])
    Memory(tmp_path)("deep", [np.ones(4)], 16000, judge)
    assert "cannot be read" in caplog.text and judge.asked == [1, 1]
    Memory(tmp_path)("deep", [np.ones(4)], 16000, judge)
    assert judge.asked == [1, 1]

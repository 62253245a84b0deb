"""Values are recalled for what they tell of alone, by any number of processes, within bounds."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vctool import cache
from vctool.cache import Cache
from vctool.errors import AudioError, DataError

WRITER = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from vctool.cache import Cache
kept = Cache(Path(sys.argv[1]))
for number in count():
    said = np.array([[float(number)]])
    kept.of_waves("sum", [np.array([0, number])], 16000, lambda waves, rate: said)
    print(number + 1, flush=True)
"""


class Judge:
    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, waves: Sequence[np.ndarray], rate: int) -> np.ndarray:
        self.asked.append(len(waves))
        return np.array([[wave.sum(), rate] for wave in waves], dtype=np.float32)


class Work:
    """Returns a file's content and remembers whose it read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, file: Path) -> dict[str, str]:
        self.read.append(file.name)
        if not file.exists():
            raise AudioError(f"{file}: not there")
        return {"text": file.read_text()}


def over(path: Path, files: Sequence[Path], work: Work, purpose: str = "text") -> list[str]:
    """Return what is found of files in a new run, and forget whose were read before."""
    work.read.clear()
    with cache.use(path):
        found = list(cache.over(files, work, purpose))
    return ["?" if isinstance(one, AudioError) else one["text"] for one in found]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = [tmp_path / f"{name}.wav" for name in "abc"]
    for file in made:
        file.write_text(file.stem)
    return made


def test_only_new_waves_are_judged_even_in_a_later_run(tmp_path: Path) -> None:
    first, second = np.ones(10), np.full(10, 2.0)
    judge = Judge()
    said = Cache(tmp_path / "c").of_waves("deep", [first, second, first], 16000, judge)
    np.testing.assert_array_equal(said[:, 0], [10, 20, 10])
    changed = second.copy()
    changed[3] += 0.25
    said = Cache(tmp_path / "c").of_waves("deep", [changed, second, first], 16000, judge)
    np.testing.assert_array_equal(said[:, 0], [20.25, 20, 10])
    assert judge.asked == [2, 1] and said.dtype == np.float32


def test_other_judges_and_other_rates_are_asked(tmp_path: Path) -> None:
    judge = Judge()
    kept = Cache(tmp_path / "c")
    for name, rate in (("deep", 16000), ("wide", 16000), ("deep", 8000), ("deep", 16000)):
        assert kept.of_waves(name, [np.ones(4)], rate, judge)[0, 1] == rate
    assert judge.asked == [1, 1, 1]


def test_a_file_is_worked_on_again_when_it_changed_or_failed(
    tmp_path: Path, files: list[Path]
) -> None:
    path, work = tmp_path / "c", Work()
    asked = [*files, tmp_path / "none.wav"]
    assert over(path, asked, work) == ["a", "b", "c", "?"] and len(work.read) == 4
    assert over(path, asked, work) == ["a", "b", "c", "?"] and work.read == ["none.wav"]
    assert over(path, files, work, "other") == ["a", "b", "c"] and len(work.read) == 3
    before = files[1].stat()
    with files[1].open("r+") as file:  # in place, as long as before, its time set back
        file.write("B")
    os.utime(files[1], ns=(before.st_atime_ns, before.st_mtime_ns))
    after = files[1].stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert over(path, files, work) == ["a", "B", "c"] and work.read == ["b.wav"]
    os.replace(files[2], files[0])
    assert over(path, files[:2], work) == ["c", "B"] and work.read == ["a.wav"]


def test_files_of_any_name_are_known_again(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff.wav")
    odd.write_text("odd")
    work = Work()
    assert over(tmp_path / "c", [odd], work) == over(tmp_path / "c", [odd], work) == ["odd"]
    assert work.read == []


def test_a_killed_run_has_kept_its_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "BATCH", 3)
    files = [tmp_path / f"{number}.wav" for number in range(9)]
    for file in files:
        file.touch()
    seen: list[str] = []

    def work(file: Path) -> str:
        if file.stem == "7" and len(seen) < 9:
            raise KeyboardInterrupt
        seen.append(file.stem)
        return file.stem

    with cache.use(tmp_path / "c"):
        with pytest.raises(KeyboardInterrupt):
            list(cache.over(files, work, "stem"))
        del seen[:]
        seen += ["?"] * 9
        assert list(cache.over(files, work, "stem")) == [file.stem for file in files]
    assert seen[9:] == ["6", "7", "8"]


def test_processes_write_at_once_and_may_be_killed(tmp_path: Path) -> None:
    path, judge = tmp_path / "c", Judge()
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        env=os.environ | {"PYTHONPATH": str(Path(cache.__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        done = 0
        for number in range(20):
            Cache(path).of_waves("sum", [np.array([1, number])], 16000, judge)
            done = int(other.stdout.readline())  # it goes on meanwhile
        other.send_signal(signal.SIGKILL)
    assert done > 0 and judge.asked == [1] * 20
    for wave in ([own, number] for own in (0, 1) for number in range(min(done, 20))):
        assert Cache(path).of_waves("sum", [np.array(wave)], 16000, judge)[0, 0] == sum(wave)
    assert judge.asked == [1] * 20


def test_what_was_not_used_for_longest_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "LIMIT", 2**18)
    path = tmp_path / "c"
    wide = np.ones((1, 2**12))  # 32 KiB

    def asked(day: int, number: int) -> bool:
        monkeypatch.setattr(cache, "_today", lambda: day)
        judge: list[int] = []

        def ask(waves: Sequence[np.ndarray], rate: int) -> np.ndarray:
            judge.append(number)
            return wide

        Cache(path).of_waves("wide", [np.full(2, number)], 16000, ask)
        return bool(judge)

    assert asked(0, 0)
    for day in range(1, 40):
        assert asked(day, day) and not asked(day, 0)  # one that is used every day
    assert path.stat().st_size < 2 * 2**18
    assert not asked(40, 39) and not asked(40, 38)
    assert asked(40, 1)


def test_earlier_versions_are_not_read(tmp_path: Path, files: list[Path]) -> None:
    path, work = tmp_path / "c", Work()
    with sqlite3.connect(path) as base:  # the first version, which did not sign
        base.execute(
            "CREATE TABLE found (purpose TEXT, path TEXT, size INTEGER, changed INTEGER, "
            "value TEXT, PRIMARY KEY (path, purpose)) WITHOUT ROWID"
        )
        base.execute(f"INSERT INTO found VALUES ('text', '{files[0]}', 1, 1, 'null')")
    base.close()
    assert over(path, files, work) == ["a", "b", "c"] and len(work.read) == 3
    assert over(path, files, work) == ["a", "b", "c"] and work.read == []
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA user_version = 99")
    base.close()
    assert over(path, files, work) == ["a", "b", "c"] and len(work.read) == 3


@pytest.mark.parametrize("kind", ["text", "truncated", "value", "foreign", "folder"])
def test_what_is_spoilt_or_anothers_is_one_line_and_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "c.sqlite"
    Cache(path).of_waves("deep", [np.ones(4)], 16000, Judge())
    if kind == "text":
        path.write_bytes(b"not a data base" * 100)
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    else:
        path = path if kind == "value" else tmp_path / "foreign.sqlite"
        with sqlite3.connect(path) as base:
            base.execute(
                "UPDATE found SET value = x'00'" if kind == "value" else "CREATE TABLE birds (name)"
            )
        base.close()
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(DataError) as told:
        Cache(path).of_waves("deep", [np.ones(4)], 16000, Judge())
    assert str(told.value).startswith(f"{path}: ") and "\n" not in str(told.value)
    assert "remove it, it only saves time" in str(told.value) or kind == "folder"
    assert before == (path.read_bytes() if path.is_file() else b"")


def test_a_full_disk_is_no_reason_to_remove_it(tmp_path: Path) -> None:
    kept = Cache(tmp_path / "c")
    with pytest.raises(DataError, match=r"make room there$"), kept._opened() as base:
        base.execute("PRAGMA max_page_count = 1")
        base.execute("CREATE TABLE more (x)")


def test_a_value_lies_there_as_text_or_as_an_array_never_as_a_pickle(
    tmp_path: Path, files: list[Path]
) -> None:
    path = tmp_path / "c"
    Cache(path).of_waves("deep", [np.ones(4)], 16000, Judge())
    over(path, files, Work())
    with sqlite3.connect(path) as base:
        values = [value for (value,) in base.execute("SELECT value FROM found ORDER BY purpose")]
    base.close()
    assert values[0].startswith(b"\x93NUMPY") and values[1] == '{"text": "a"}'
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        cache._encode(np.array([object()], dtype=object))


def test_a_cache_in_use_is_the_innermost(tmp_path: Path, files: list[Path]) -> None:
    work = Work()
    with cache.use(tmp_path / "outer"):
        with cache.use(tmp_path / "inner"):
            list(cache.over(files, work, "text"))
        list(cache.over(files, work, "text"))
        list(cache.over(files, work, "text"))
    list(cache.over(files, work, "text"))
    assert len(work.read) == 9

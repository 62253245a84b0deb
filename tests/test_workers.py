"""Worker processes: Ctrl-C without tracebacks, and no orphans after kill -9."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from vctool.workers import WorkerPool, Workers, in_order

ROOT = Path(__file__).resolve().parent.parent

SCRIPT = r"""
import os, sys, time
from vctool.workers import WorkerPool

def task(number):
    os.write(1, b"%d\n" % os.getpid())
    time.sleep(60)

if __name__ == "__main__":
    try:
        with WorkerPool(2) as pool:
            list(pool.map(task, range(20)))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def square(number: int) -> int:
    return number * number


def fail(number: int) -> int:
    raise ValueError(f"no {number}")


def begun(folder: Path) -> "tuple[subprocess.Popen[str], list[int]]":
    """Start the script in its own process group; wait for both of its workers to be at work."""
    (folder / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(folder / "script.py")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    return process, [int(process.stdout.readline()) for _ in range(2)]


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_results_come_in_order_and_errors_come_through() -> None:
    with WorkerPool(2) as pool:
        assert list(pool.map(square, range(7), chunksize=2)) == [n * n for n in range(7)]
        with pytest.raises(ValueError, match="no 3"):
            pool.submit(fail, 3).result()


def test_no_more_items_are_taken_than_there_is_room_for() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(2) as threads:
        for place, result in enumerate(in_order(threads, square, items(), 3)):
            assert result == place * place
            assert len(taken) <= place + 1 + 3
    assert taken == list(range(20))
    with ThreadPoolExecutor(2) as threads, pytest.raises(ValueError, match="no 0"):
        list(in_order(threads, fail, range(20), 3))


def where(number: int) -> tuple[int, int]:
    return number, os.getpid()


def test_few_items_are_done_here_and_more_by_processes_that_are_kept() -> None:
    inside: list[str] = []

    @contextmanager
    def alone() -> Iterator[None]:
        inside.append("in")
        yield
        inside.append("out")

    with Workers(2, alone=alone, few=3) as workers:
        assert list(workers.map(where, range(3))) == [(n, os.getpid()) for n in range(3)]
        assert inside == ["in", "out"]
        found = [list(workers.map(where, range(n))) for n in (4, 9)]
        assert [number for number, _ in found[1]] == list(range(9))
        others = [{process for _, process in some} for some in found]
        assert os.getpid() not in others[0] | others[1]
        assert len(others[0] | others[1]) <= 2, "they were started anew"
    assert inside == ["in", "out"]
    with Workers(1, few=3) as workers:
        assert {process for _, process in workers.map(where, range(9))} == {os.getpid()}


def test_ctrl_c_ends_all_processes_at_once_and_prints_nothing(tmp_path: Path) -> None:
    process, workers = begun(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (130, "")
    assert all(gone(pid) for pid in workers)


def test_ctrl_c_while_workers_start_prints_nothing(tmp_path: Path) -> None:
    script = SCRIPT.replace("def task", 'os.write(1, b"up\\n")\ntime.sleep(1)\n\ndef task')
    (tmp_path / "script.py").write_text(script)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for _ in range(2):  # the process itself, then the first of its workers
        assert process.stdout.readline() == "up\n"
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (130, "")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_workers_of_a_killed_process_leave(tmp_path: Path) -> None:
    process, workers = begun(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    for _ in range(100):
        if all(gone(pid) for pid in workers):
            break
        time.sleep(0.1)
    assert all(gone(pid) for pid in workers)
    process.communicate()

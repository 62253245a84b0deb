"""Dask on loopback: the bytes of one process, dead workers' shares done again, errors in a line."""

import os
import signal
import socket
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from vctool import cluster, workers
from vctool.errors import ClusterError, DataError

Start = Callable[..., Any]


def square(number: int) -> int:
    return number * number


def reject(number: int) -> int:
    if number == 3:
        raise DataError("utterance 3: is silent")
    return number


def die(number: int) -> int:
    os._exit(9)


def remember(path: str, line: str) -> str:
    with open(path, "a") as file:
        file.write(f"{os.getpid()} {line}\n")
    time.sleep(0.2)
    return line


def test_results_errors_and_the_share_of_a_killed_worker(
    loopback: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = loopback()
    log = made.folder / "done.txt"
    with cluster.use(made.address), workers.pool(1) as pool:
        assert pool.processes == 2
        assert list(pool.map(square, range(100), chunksize=3)) == [n * n for n in range(100)]
        with pytest.raises(DataError, match="utterance 3: is silent"):
            list(pool.map(reject, range(9)))
        assert pool.submit(square, 7).result() == 49

        results = pool.map(remember, [str(log)] * 20, map(str, range(20)))
        assert next(results) == "0"
        made.workers[0].send_signal(signal.SIGKILL)
        assert list(results) == [str(n) for n in range(1, 20)]
    pids = {line.split()[0] for line in log.read_text().splitlines()}
    assert pids == {str(process.pid) for process in made.workers}  # both had a share

    other = cluster.identity() | {"vctool": "0123456789ab"}
    monkeypatch.setattr(cluster, "identity", lambda: other)
    with (
        cluster.use(made.address),
        workers.pool(1) as pool,
        pytest.raises(ClusterError, match=r"has vctool .* this process has 0123456789ab"),
    ):
        list(pool.map(square, range(3)))
    assert isinstance(workers.pool(1), workers.WorkerPool)


def test_a_cluster_that_dies_piece_by_piece_is_told_and_not_waited_for(
    loopback: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_STEP", 0.5)
    monkeypatch.setattr(cluster, "NO_WORKER_SECONDS", 1.0)
    made = loopback()
    with cluster.use(made.address), workers.pool(1) as pool:
        said = r"one task ended 2 workers.*--memory-limit"
        with pytest.raises(ClusterError, match=said):
            pool.submit(die, 1).result()
        with pytest.raises(ClusterError, match="no worker is left"):
            list(pool.map(square, range(20)))
        waiting = pool.submit(square, 1)
        made.scheduler.kill()
        with pytest.raises(ClusterError, match="the scheduler went away"):
            waiting.result()


def test_nobody_there_is_one_line_each(loopback: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    for address in (nowhere, "nonsense:x"):
        with (
            pytest.raises(ClusterError, match=f"--scheduler {address}: no Dask scheduler answers"),
            cluster.use(address),
        ):
            pass
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 30.0)
    with pytest.raises(ClusterError, match="has no workers"), cluster.use(loopback(0).address):
        pass


class LateFuture:
    """Ends just after the first wait for it has given up."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.status = "pending"

    def result(self, timeout: float) -> str:
        if self.status == "pending":
            self.status = "error" if self.error else "finished"
            raise TimeoutError(f"timed out after {timeout} s.")
        if self.error is not None:
            raise self.error
        return "here"

    def exception(self) -> Exception | None:
        return self.error


def test_a_task_that_ends_as_a_wait_gives_up_has_its_result_and_its_own_error() -> None:
    alive: Any = SimpleNamespace(_has_workers=lambda: True)
    wait: Any = cluster.Cluster.wait
    assert wait(alive, LateFuture(None)) == "here"
    with pytest.raises(TimeoutError, match="the download"):
        wait(alive, LateFuture(TimeoutError("the download")))
    with pytest.raises(DataError, match="is silent"):
        wait(alive, LateFuture(DataError("is silent")))

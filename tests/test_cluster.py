"""Dask on loopback: the bytes of one process, dead workers' shares done again, errors in a line."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vctool import cluster, workers
from vctool.errors import ClusterError, DataError

pytest.importorskip("distributed", reason="pip install -r requirements-cluster.txt")

ROOT = Path(__file__).resolve().parent.parent


class Loopback:
    """A scheduler and workers, each a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show"]
        self.scheduler = self._start("dask_scheduler", *options)

    def _start(self, name: str, *options: str) -> "subprocess.Popen[bytes]":
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        environment["PYTHONWARNINGS"] = "ignore"
        environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = "1"
        with (self.folder / f"{name}-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{name}", *options],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def worker(self) -> "subprocess.Popen[bytes]":
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        return self._start("dask_worker", self.address, *options)

    def wait_for(self, count: int) -> None:
        """Wait until that many workers have come."""
        from distributed import Client

        with Client(self.address, timeout=30, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)

    def stop(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def loopback(tmp_path: Path) -> Iterator[Loopback]:
    """A scheduler and two workers."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    made = Loopback(folder)
    try:
        made.workers = [made.worker(), made.worker()]
        made.wait_for(2)
        yield made
    finally:
        made.stop()


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
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = loopback.folder / "done.txt"
    with cluster.use(loopback.address), workers.pool(1) as pool:
        assert pool.processes == 2
        assert list(pool.map(square, range(100), chunksize=3)) == [n * n for n in range(100)]
        with pytest.raises(DataError, match="utterance 3: is silent"):
            list(pool.map(reject, range(9)))
        assert pool.submit(square, 7).result() == 49

        results = pool.map(remember, [str(log)] * 20, map(str, range(20)))
        assert next(results) == "0"
        loopback.workers[0].send_signal(signal.SIGKILL)
        assert list(results) == [str(n) for n in range(1, 20)]
    pids = {line.split()[0] for line in log.read_text().splitlines()}
    assert pids == {str(process.pid) for process in loopback.workers}  # both had a share

    other = cluster.identity() | {"vctool": "0123456789ab"}
    monkeypatch.setattr(cluster, "identity", lambda: other)
    with (
        cluster.use(loopback.address),
        workers.pool(1) as pool,
        pytest.raises(ClusterError, match=r"has vctool .* this process has 0123456789ab"),
    ):
        list(pool.map(square, range(3)))
    assert isinstance(workers.pool(1), workers.WorkerPool)


def test_a_cluster_that_dies_piece_by_piece_is_told_and_not_waited_for(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_STEP", 0.5)
    monkeypatch.setattr(cluster, "NO_WORKER_SECONDS", 1.0)
    with cluster.use(loopback.address), workers.pool(1) as pool:
        said = r"one task ended 2 workers.*--memory-limit"
        with pytest.raises(ClusterError, match=said):
            pool.submit(die, 1).result()
        with pytest.raises(ClusterError, match="no worker is left"):
            list(pool.map(square, range(20)))
        waiting = pool.submit(square, 1)
        loopback.scheduler.kill()
        with pytest.raises(ClusterError, match="the scheduler went away"):
            waiting.result()


def test_nobody_there_is_one_line_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    alone = Loopback(tmp_path)
    try:
        with pytest.raises(ClusterError, match="has no workers"), cluster.use(alone.address):
            pass
    finally:
        alone.stop()

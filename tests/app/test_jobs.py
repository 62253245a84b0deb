"""The queue, with a worker that does as it is told."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vctool.app import jobs
from vctool.app.jobs import Job, Queue
from vctool.app.lane import WorkerEnded
from vctool.app.session import Recording, Session
from vctool.errors import VctoolError

MODEL = {"id": "pair", "path": "exp/pair", "to": ["ann", "ben"]}
ABOUT = {"backing": [], "vocoders": {}}


class Lane:
    """A worker: what it is asked is answered by the test."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, asyncio.Future[Any], Any]] = []
        self.cancelled: list[str] = []
        self.restarts = 0

    async def ask(self, what: str, told: Any = None, **values: Any) -> Any:
        answer = asyncio.get_running_loop().create_future()
        self.asked.append((values["key"], answer, told))
        return await answer

    def cancel(self, key: str) -> None:
        self.cancelled.append(key)

    def restart(self) -> None:
        self.restarts += 1
        self.asked[-1][1].set_exception(WorkerEnded("The work ended unexpectedly."))


DONE: dict[str, Any] = {"notes": [], "map": [], "gains": {}}


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test: Any) -> None:
    """Run a test beside a queue at work."""
    monkeypatch.setattr(jobs, "PATIENCE", 0.02)

    async def all_of_it() -> None:
        lane: Any = Lane()
        session = Session(tmp_path, 2**20, lane, lane)
        path = tmp_path / "recordings" / "a.wav"
        path.write_bytes(b"x")
        facts = {"silent": False, "seconds": 10.0}
        session.recordings["a"] = Recording("a", "voice", "talk.wav", path, 1, facts)
        queue = Queue(session)
        working = asyncio.create_task(queue.work())
        try:
            wanted: Coroutine[Any, Any, None] = test(queue, lane)
            await asyncio.wait_for(wanted, 10)
        finally:
            working.cancel()

    asyncio.run(all_of_it())


def add(queue: Queue) -> Job:
    return queue.add(jobs.checked({"voice": "a", "model": "m", "to": "ben"}), MODEL, ABOUT)


async def happens(condition: Callable[[], bool]) -> None:
    """Wait until something is so, which `run` gives 10 s."""
    while not condition():
        await asyncio.sleep(0.001)


async def begins(lane: Lane, count: int) -> None:
    """Wait until a worker was asked so many times."""
    await happens(lambda: len(lane.asked) == count)


def test_what_does_not_heed_a_cancellation_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(queue: Queue, lane: Lane) -> None:
        first, second = add(queue), add(queue)
        await begins(lane, 1)
        assert (first.state, second.state, second.place) == ("running", "waiting", 1)
        queue.cancel(first)
        assert first.state == "cancelling" and lane.cancelled == [first.id]
        assert lane.restarts == 0  # it is asked first
        await begins(lane, 2)
        assert lane.restarts == 1 and first.state == "cancelled" and not first.out.parent.exists()
        assert second.state == "running" and lane.asked[-1][0] == second.id

    run(tmp_path, monkeypatch, test)


def test_what_heeds_it_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(queue: Queue, lane: Lane) -> None:
        job, late = add(queue), add(queue)
        await begins(lane, 1)
        queue.cancel(job)
        lane.asked[0][1].set_exception(VctoolError("cancelled; what is complete is kept"))
        await begins(lane, 2)
        await asyncio.sleep(2 * jobs.PATIENCE)  # nothing more happens
        assert job.state == "cancelled" and lane.restarts == 0
        queue.cancel(late)
        lane.asked[1][1].set_result(DONE)  # it was done already
        await happens(lambda: late.over)
        assert late.state == "cancelled" and not late.out.parent.exists()

    run(tmp_path, monkeypatch, test)


def test_a_failure_is_no_cancellation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(queue: Queue, lane: Lane) -> None:
        job = add(queue)
        await begins(lane, 1)
        source = queue.session.recordings["a"].path
        lane.asked[0][1].set_exception(VctoolError(f"{source}: truncated; copy it again"))
        await happens(lambda: job.over)
        assert (job.state, job.why) == ("failed", "talk.wav: truncated; copy it again.")

    run(tmp_path, monkeypatch, test)


def test_a_disk_that_is_full_by_then_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(queue: Queue, lane: Lane) -> None:
        first, second = add(queue), add(queue)
        await begins(lane, 1)
        monkeypatch.setattr("vctool.app.session.RESERVE", 2**70)
        lane.asked[0][1].set_exception(VctoolError("The disk or a file failed (no space)."))
        await happens(lambda: second.over)
        assert (first.state, second.state) == ("failed", "failed")
        assert first.why == "The disk or a file failed (no space)."
        assert second.why.startswith("The disk is nearly full") and len(lane.asked) == 1
        assert list((tmp_path / "outputs").iterdir()) == []
        monkeypatch.setattr("vctool.app.session.RESERVE", 0)
        add(queue)
        await begins(lane, 2)  # the queue goes on

    run(tmp_path, monkeypatch, test)


def test_what_is_left_is_estimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(queue: Queue, lane: Lane) -> None:
        now = 100.0
        monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: now))
        job = add(queue)
        await begins(lane, 1)
        assert job.eta() is None  # nothing is known yet
        now = 104.0
        lane.asked[0][2]([2.0, 10.0])
        assert job.eta() == pytest.approx(16.0)  # 2 s a second, 8 s to go
        now = 110.0
        assert job.eta() == pytest.approx(10.0) and job.plain()["done"] == 2.0
        lane.asked[0][1].set_result(DONE)
        await happens(lambda: job.over)
        assert job.state == "done" and job.took == pytest.approx(10.0) and job.eta() is None
        # The next one of this model begins with an estimate.
        other = add(queue)
        await begins(lane, 2)
        assert other.eta() == pytest.approx(10.0)

    run(tmp_path, monkeypatch, test)


def test_old_conversions_go_with_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "FINISHED", 2)

    async def test(queue: Queue, lane: Lane) -> None:
        made = []
        for place in range(4):
            made.append(add(queue))
            await begins(lane, place + 1)
            lane.asked[place][1].set_result(DONE)
            await happens(lambda: made[-1].over)
        assert list(queue.session.jobs) == [one.id for one in made[-2:]]
        left = {path.name for path in (tmp_path / "outputs").iterdir()}
        assert left == {one.id for one in made[-2:]}

    run(tmp_path, monkeypatch, test)


def test_a_sentence_for_the_page_has_names_and_no_paths(tmp_path: Path) -> None:
    lane: Any = Lane()
    session = Session(tmp_path, 2**20, lane, lane)
    for message, told in (
        ("/home/anna/exp/x/checkpoints: no such model", "checkpoints: no such model."),
        ("exp/pair: no such model", "pair: no such model."),
        ("exp/pair/checkpoints/step-3/model.safetensors: damaged", "model.safetensors: damaged."),
        ("needs --accomp FILE for it", "needs a backing for it."),
        ("44.1 kHz and/or 8 kHz; an expert\nsays so", "44.1 kHz and/or 8 kHz; an expert says so."),
    ):
        assert session.tidy(message) == told

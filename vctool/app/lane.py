"""A worker process as the server sees it: it is asked, answers, and can be ended."""

import asyncio
import itertools
import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from vctool.app.worker import CANCEL, DONE, FAILED, main
from vctool.errors import VctoolError

logger = logging.getLogger(__name__)

Told = Callable[[Any], object]


class WorkerEnded(VctoolError):
    """The worker ended before it answered, as where memory ran out."""


class Lane:
    """A worker process that is started when it is first needed, and again whenever it ends.

    Args:
        work: module of `vctool.app` whose `answer` the worker calls.
        name: for the log.
    """

    def __init__(self, work: str, name: str) -> None:
        self._work, self.name = work, name
        self._numbers = itertools.count()
        self._asked: dict[int, tuple[asyncio.Future[Any], Told | None]] = {}
        self._closed = False
        self.starts = 0

    def ready(self) -> None:
        """See that the worker runs; called in the server's event loop."""
        if not self.starts:
            self._start()

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.starts += 1
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=main, args=(theirs, self._work), name=self.name, daemon=True
        )
        # Ctrl-C, which a terminal sends to all, is the server's: workers are born deaf to it. What
        # Python starts beside its first process lets signals through again, so that comes before.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        listener = (self._connection, self.starts)
        threading.Thread(target=self._listen, args=listener, daemon=True).start()

    async def ask(self, what: str, told: Told | None = None, **values: Any) -> Any:
        """Ask the worker and wait for its answer.

        Args:
            what: name of the question, see the module that the worker calls.
            told: is called with what the worker tells before its answer.
            values: plain values, of the question.

        Raises:
            VctoolError: the worker's own, in one line.
            WorkerEnded: it ended before it answered.
        """
        self.ready()
        number = next(self._numbers)
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._asked[number] = (answer, told)
        try:
            self._connection.send((number, what, values))
        except OSError:  # it has just ended, which the listener says
            pass
        try:
            return await answer
        finally:
            self._asked.pop(number, None)

    def cancel(self, key: str) -> None:
        """Ask the worker to end the work that was asked for with this `key`, if it is at it."""
        try:
            self._connection.send((0, CANCEL, {"key": key}))
        except OSError:
            pass

    def restart(self) -> None:
        """End the worker at once, whatever it does, and start it again."""
        self._process.kill()

    def close(self) -> None:
        """End the worker for good."""
        self._closed = True
        if self.starts:
            self._process.kill()
            self._process.join()

    def _listen(self, connection: Connection, start: int) -> None:
        """Hand on what the worker says; in a thread of its own."""
        try:
            while True:
                try:
                    message = connection.recv()
                except (EOFError, OSError):
                    break
                self._loop.call_soon_threadsafe(self._heard, message)
            self._loop.call_soon_threadsafe(self._ended, start)
        except RuntimeError:  # the server's loop is closed: it has ended
            return

    def _heard(self, message: tuple[int, str, Any]) -> None:
        number, kind, value = message
        answer, told = self._asked.get(number, (None, None))
        if answer is None or answer.done():
            return
        if kind == DONE:
            answer.set_result(value)
        elif kind == FAILED:
            answer.set_exception(VctoolError(value))
        elif told is not None:
            told(value)

    def _ended(self, start: int) -> None:
        if self._closed or start != self.starts:
            return
        self._connection.close()
        self._process.join()
        for answer, _ in list(self._asked.values()):
            if not answer.done():
                answer.set_exception(WorkerEnded("The work ended unexpectedly; try it again."))
        self._start()

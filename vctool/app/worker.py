"""A worker process from inside: answers questions in order, and hears when it should stop.

Spawned, never forked. It ends with the server, even where that is killed: its connection ends then.
"""

import importlib
import logging
import os
import queue
import threading
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from vctool.errors import VctoolError

CANCEL, DONE, FAILED, TOLD = "cancel", "done", "failed", "told"
"""Kinds of messages."""

NICE = 5
"""The server, which waits for nothing, goes before its workers."""

UNEXPECTED = "Something went wrong that should not; the terminal has the details."

logger = logging.getLogger(__name__)


class Post:
    """How an answer in the making talks to the server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self.number = 0
        self.unwanted = ""
        """Key of the work that was cancelled last."""

    def tell(self, value: Any) -> None:
        """Tell something before the answer."""
        self.send(self.number, TOLD, value)

    def send(self, number: int, kind: str, value: Any) -> None:
        """Send a message; threads may call it."""
        with self._sending:
            self._connection.send((number, kind, value))


def main(connection: Connection, work: str) -> None:
    """Be a worker.

    Args:
        connection: to the server.
        work: module of `vctool.app` with `answer(what, post, **values)` and, where questions may
            be answered beside the work in progress, their names in `BESIDE`.
    """
    os.nice(NICE)
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")  # of pyworld
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("vctool").setLevel(logging.INFO)
    logging.getLogger("vctool").propagate = False  # what is said of a recording is for the page
    logger.addHandler(logging.StreamHandler())
    post = Post(connection)
    waiting: queue.Queue[tuple[int, str, dict[str, Any]]] = queue.Queue()
    beside: queue.Queue[tuple[int, str, dict[str, Any]]] = queue.Queue()
    module = importlib.import_module(f"vctool.app.{work}")
    apart: tuple[str, ...] = getattr(module, "BESIDE", ())

    def listen() -> None:
        while True:
            try:
                message = connection.recv()
            except (EOFError, OSError):  # the server has ended, or was killed
                os._exit(0)
            if message[1] == CANCEL:
                post.unwanted = message[2]["key"]
            else:
                (beside if message[1] in apart else waiting).put(message)

    threading.Thread(target=listen, daemon=True).start()
    if apart:
        side = Post(connection)
        side._sending = post._sending
        threading.Thread(target=_answer_all, args=(beside, side, module), daemon=True).start()
    _answer_all(waiting, post, module)


def _answer_all(
    questions: "queue.Queue[tuple[int, str, dict[str, Any]]]", post: Post, module: Any
) -> None:
    answer: Callable[..., Any] = module.answer
    while True:
        number, what, values = questions.get()
        post.number = number
        try:
            post.send(number, DONE, answer(what, post, **values))
        except VctoolError as error:
            post.send(number, FAILED, str(error))
        except OSError as error:
            post.send(number, FAILED, f"The disk or a file failed ({error.strerror or 'unknown'}).")
        except MemoryError:
            post.send(number, FAILED, "This machine's memory is not enough for it.")
        except Exception:
            logger.error("%s", traceback.format_exc())
            post.send(number, FAILED, UNEXPECTED)

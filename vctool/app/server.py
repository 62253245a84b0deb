"""Starts and ends the page: its address, its workers, and a folder that is gone afterwards.

Only 127.0.0.1 is listened on, and there is no option for another address: who wants the page on
another machine opens a tunnel (`ssh -L`).
"""

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from vctool import locks, models
from vctool.app.guard import Guard
from vctool.app.jobs import Queue
from vctool.app.lane import Lane
from vctool.app.routes import Routes
from vctool.app.session import Session
from vctool.errors import CheckpointError, ConfigError, DataError
from vctool.experiment import places

HOST = "127.0.0.1"

PREFIX = "vctool-app-"
"""Of the names of temporary folders."""

LOCK = "lock"
"""File in a temporary folder that a living server holds."""

YOUNG_SECONDS = 60.0
"""A folder without a lock is of a server that is just starting, up to this age."""

GRACE_SECONDS = 1
"""How long answers in progress may take when the server ends [s]."""

BACKLOG = 64

logger = logging.getLogger(__name__)


def run(
    port: int,
    model: str | None,
    most_mb: int,
    opened: bool,
    told: Callable[[str], object] = print,
) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Args:
        port: of 127.0.0.1; 0 takes a free one.
        model: chosen on the page at first, by its name or path, or None.
        most_mb: size of the largest upload [MB].
        opened: whether to open the page in a browser.
        told: is told the address.

    Raises:
        ConfigError: the port is taken.
        CheckpointError: there is no such model.
    """
    if model is not None:
        path = places.locate(model)
        if not path.exists() and str(path) not in models.names():
            raise CheckpointError(f"--model {model}: no such model; vctool models lists them")
    listening = listen(port)
    port = listening.getsockname()[1]
    with listening, temporary_folder() as folder:
        asyncio.run(serve(listening, port, folder, model, most_mb * 2**20, opened, told))


async def serve(
    listening: socket.socket,
    port: int,
    folder: Path,
    model: str | None,
    most: int,
    opened: bool,
    told: Callable[[str], object],
) -> None:
    """Serve the page on a socket, with files in a folder; see `run`."""
    # What workers keep of a target's recordings goes with them, too.
    os.environ["VCTOOL_CACHE"] = str(folder / "cache")
    looking, converting = Lane("looking", "vctool look"), Lane("converting", "vctool convert")
    looking.ready()
    session = Session(folder, most, looking, converting, model)
    queue = Queue(session)
    token = secrets.token_urlsafe(32)  # 256 bits
    app = Guard(Routes(session, queue).app(), token, port)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # what is ours is logged by us
    server = _Server(config, session)
    address = f"http://{HOST}:{port}/?token={token}"
    working = asyncio.create_task(queue.work())
    try:
        told(address)
        if opened:
            await asyncio.to_thread(webbrowser.open, address)
        await server.serve([listening])
    finally:
        working.cancel()
        looking.close()
        converting.close()


class _Server(uvicorn.Server):
    """A server that ends by returning: uvicorn's own raises the signal again, past all clearing."""

    def __init__(self, config: uvicorn.Config, session: Session) -> None:
        super().__init__(config)
        self._session = session

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at Ctrl-C, SIGTERM and where the terminal goes."""
        loop = asyncio.get_running_loop()
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        try:
            for one in wanted:
                loop.add_signal_handler(one, self._end)
        except (RuntimeError, ValueError):  # in a thread, as tests do
            yield
            return
        try:
            yield
        finally:
            for one in wanted:
                loop.remove_signal_handler(one)

    def _end(self) -> None:
        self.should_exit = True
        self._session.close()


def listen(port: int) -> socket.socket:
    """Open a socket on 127.0.0.1.

    Raises:
        ConfigError: the port is taken, or not for users.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or "no such port"
        raise ConfigError(
            f"--port {port}: cannot be listened on ({reason}); choose another, or 0 for a free one"
        ) from None
    return listening


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder for this user alone, and remove it in the end, and what killed servers left."""
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))  # 0700
    try:
        with locks.hold(folder / LOCK, lambda holder: f"{folder}: in use by {holder}"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Remove folders of servers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            status = folder.lstat()
            if status.st_uid != os.getuid() or folder.is_symlink() or not folder.is_dir():
                continue
            young = time.time() - status.st_mtime < YOUNG_SECONDS
            lock = folder / LOCK
            if locks.is_held(lock) if lock.exists() else young:
                continue
        except (OSError, DataError):  # gone by now, or not ours
            continue
        shutil.rmtree(folder, ignore_errors=True)

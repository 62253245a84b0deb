"""What a server holds for its one user: recordings and jobs, the same in every tab.

Pages learn of changes by asking for the state after a version that they know; the answer waits
until there is a newer one.
"""

import asyncio
import re
import secrets
import shutil
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vctool.app.lane import Lane
from vctool.experiment.places import EXPERIMENTS

KINDS = ("voice", "target", "backing")
"""What a recording is for."""

POLL_SECONDS = 20.0
"""Longest time that a question for changes waits [s]."""

RESERVE = 200 * 2**20
"""Bytes of the disk that are left free."""

CHECKED = 2**23
"""Bytes after which the disk is looked at again while an upload comes in."""

TOTAL = 10
"""Bytes of a session's files, in the largest size of one upload."""


class Refused(Exception):
    """A request cannot be granted; its status, and why in one sentence.

    Args:
        status: of HTTP.
        why: the sentence, for the page.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass
class Recording:
    """A recording that came in."""

    id: str
    kind: str
    name: str
    """As the user calls it; for display alone."""
    path: Path
    size: int
    """Of the file [bytes]."""
    facts: dict[str, Any]
    """What `looking.measure` found."""
    folder: str = ""
    """The folder that it came from, by name; for display alone."""
    playable: Path | None = None
    """A copy that a browser plays."""

    def plain(self) -> dict[str, Any]:
        """Return what a page is told."""
        return {"id": self.id, "kind": self.kind, "name": self.name, **self.facts}


@dataclass
class Session:
    """The state of one server.

    Args:
        folder: for all files.
        most: size of the largest upload [bytes].
        looking: the worker that looks at recordings.
        converting: the worker that holds the model.
        pinned: the model of `--model`, or None.
    """

    folder: Path
    most: int
    looking: Lane
    converting: Lane
    pinned: str | None = None
    recordings: dict[str, Recording] = field(default_factory=dict)
    demo: dict[str, str] = field(default_factory=dict)
    """Ids of the demo's recordings, by kind, once somebody has asked for it."""
    jobs: "dict[str, Any]" = field(default_factory=dict)
    incoming: int = 0
    """Bytes of uploads in progress."""
    version: int = 1
    closing: bool = False

    def __post_init__(self) -> None:
        """Make the folders."""
        self._changed = asyncio.Event()
        for name in ("recordings", "targets", "outputs"):
            (self.folder / name).mkdir(mode=0o700)

    def close(self) -> None:
        """Let nobody wait any more: the server ends."""
        self.closing = True
        self.changed()

    def changed(self) -> None:
        """Wake everyone who waits for a change."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, known: int) -> None:
        """Wait until the version differs from a known one, or for `POLL_SECONDS`."""
        if known != self.version or self.closing:
            return
        try:
            await asyncio.wait_for(self._changed.wait(), POLL_SECONDS)
        except TimeoutError:
            return

    @property
    def held(self) -> int:
        """Bytes of all files."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files)

    def require_room(self, size: int) -> None:
        """Refuse what would not fit.

        Args:
            size: bytes that would be written.

        Raises:
            Refused: the session's share, or the disk, is full.
        """
        if self.held + size > TOTAL * self.most:
            raise Refused(
                413, f"This session holds {TOTAL * self.most >> 20} MB at most; remove some files."
            )
        if shutil.disk_usage(self.folder).free - size < RESERVE:
            raise Refused(507, "The disk is nearly full; free some space and try again.")

    def room_for(self, size: int) -> bool:
        """Tell whether the disk has room while an upload of unknown size comes in."""
        return size % CHECKED > 2**17 or shutil.disk_usage(self.folder).free > RESERVE

    def recording(self, name: Any) -> Recording:
        """Return a recording by its id.

        Raises:
            Refused: there is none.
        """
        found = self.recordings.get(name) if isinstance(name, str) else None
        if found is None:
            raise Refused(404, "This recording is not here any more; add it again.")
        return found

    def tidy(self, message: str) -> str:
        """Turn a message of a worker into a sentence for a page: one line, names, no paths."""
        for one in self.recordings.values():
            message = message.replace(str(one.path), one.name)
        message = re.sub(r"(?<![\w.])(?:/[^\s/:;,()]+)+/([^\s/:;,()]+)", r"\1", message)
        message = re.sub(rf"(?<![\w/]){EXPERIMENTS}/(?:[^\s/:;,()]+/)*", "", message)
        for typed, words in WORDS.items():
            message = message.replace(typed, words)
        message = " ".join(message.split())
        return message if message.endswith((".", "!", "?")) else f"{message}."

    def state(self) -> dict[str, Any]:
        """Return what a page is told of everything."""
        return {
            "version": self.version,
            "recordings": [one.plain() for one in self.recordings.values()],
            "jobs": [job.plain() for job in self.jobs.values()],
        }


WORDS = {
    "pass --accomp FILE": "add a backing",
    "; pass --accomp": "; add a backing",
    "needs --accomp FILE for it": "needs a backing for it",
    "--accomp-offset": "the offset",
    "--transpose": "transposing by",
    "--stretch": "a stretch of",
    "; pass --out with another folder": "",
    "; pass --out": "",
    "--model": "another model",
    "--to target: ": "",
}
"""What options of the command line are called on a page."""


def new_id() -> str:
    """Return an id that cannot be guessed."""
    return secrets.token_hex(8)


def shown(name: str) -> str:
    """Return a client's name for a file as it may be displayed: one line, not too long."""
    kept = (one for one in name if unicodedata.category(one)[0] != "C")
    return "".join(kept).strip()[-120:]

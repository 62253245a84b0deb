"""The queue of conversions: one at a time, in the order in which they were asked for.

A conversion that is cancelled is asked to end; where that has no effect within `PATIENCE`, its
worker is ended and started again.
"""

import asyncio
import math
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vctool.app.lane import WorkerEnded
from vctool.app.session import Recording, Refused, Session, new_id
from vctool.errors import Cancelled, ConfigError, VctoolError
from vctool.inference import limits

WAITING = 8
"""Most conversions that wait."""

PATIENCE = 2.0
"""How long a conversion that is cancelled may go on [s]."""

FINISHED = 30
"""Finished conversions that are kept; older ones go, with their files."""


@dataclass
class Job:
    """A conversion."""

    id: str
    name: str
    """What it is called: the recording, and its target."""
    uses: frozenset[str]
    """Ids of recordings that it needs."""
    asked: dict[str, Any]
    """What the page asked for."""
    values: dict[str, Any]
    """What the worker is asked for."""
    seconds: float
    """Length of the recording [s]."""
    backing: Path | None
    state: str = "waiting"
    """`waiting`, `running`, `cancelling`, `done`, `failed` or `cancelled`."""
    why: str = ""
    """Why it failed."""
    begun: float = 0.0
    """When it began, on the monotonic clock [s]."""
    told: tuple[float, float] = (0.0, 0.0)
    """Seconds of the recording that were converted, and when that was told."""
    took: float = 0.0
    """How long it took [s]."""
    place: int = 0
    """In the queue; 1 is next."""
    pace: float = 0.0
    """Seconds of work for a second of recording, of the one before; 0 where there is none."""
    result: dict[str, Any] = field(default_factory=dict)
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while files beside the output are made."""

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def out(self) -> Path:
        """The output."""
        return Path(self.values["out"])

    def eta(self) -> float | None:
        """Estimate how long it will still take [s]; None where nothing is known yet."""
        if self.state != "running":
            return None
        done, at = self.told
        now = time.monotonic()
        pace = (at - self.begun) / done if done else self.pace
        if not pace:
            return None
        since = now - (at if done else self.begun)
        return max(0.5, pace * (self.seconds - done) - since)

    def plain(self) -> dict[str, Any]:
        """Return what a page is told."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "why": self.why,
            "asked": self.asked,
            "seconds": self.seconds,
            "done": self.told[0],
            "running": time.monotonic() - self.begun if self.begun and not self.over else 0.0,
            "took": self.took,
            "eta": self.eta(),
            "place": self.place,
            "mix": self.backing is not None,
            **{key: self.result[key] for key in ("notes", "rate", "file") if key in self.result},
        }


class Queue:
    """Does the conversions of a session.

    Args:
        session: what they are of.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._wake = asyncio.Event()
        self._paces: dict[str, float] = {}

    def add(self, asked: dict[str, Any], model: Mapping[str, Any], about: Mapping[str, Any]) -> Job:
        """Check what a page asks for, and queue it.

        Args:
            asked: what it asks for, `checked`.
            model: its model, as listed.
            about: what can be asked of the model (`converting.describe`).

        Raises:
            Refused: it cannot be done.
        """
        jobs = self.session.jobs
        self.require_places(1)
        job = made(self.session, asked, model, about)
        job.pace = self._paces.get(job.values["model"], 0.0)
        jobs[job.id] = job
        self._renumber()
        self._wake.set()
        return job

    def require_places(self, count: int) -> None:
        """Refuse more conversions than may wait.

        Raises:
            Refused: there is no place for so many.
        """
        waiting = sum(job.state == "waiting" for job in self.session.jobs.values())
        if waiting + count > WAITING:
            raise Refused(429, f"{waiting} conversions wait already; wait until one is done.")

    def cancel(self, job: Job) -> None:
        """Cancel a conversion, which is acknowledged at once and may take `PATIENCE`."""
        if job.state == "waiting":
            self._end(job, "cancelled")
        elif job.state == "running":
            job.state = "cancelling"
            self.session.converting.cancel(job.id)
            asyncio.get_running_loop().call_later(PATIENCE, self._insist, job)
        self.session.changed()

    def remove(self, job: Job) -> None:
        """Remove a conversion that is over, with its files."""
        if not job.over:
            raise Refused(409, "This conversion is not over; cancel it first.")
        del self.session.jobs[job.id]
        shutil.rmtree(job.out.parent, ignore_errors=True)
        self.session.changed()

    async def work(self) -> None:
        """Do conversions as they come, for ever."""
        while True:
            job = next((one for one in self.session.jobs.values() if one.state == "waiting"), None)
            if job is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._do(job)

    async def _do(self, job: Job) -> None:
        job.state, job.begun, job.place = "running", time.monotonic(), 0
        self._renumber()

        def told(value: list[float]) -> None:
            job.told = (value[0] / max(value[1], 1e-9) * job.seconds, time.monotonic())
            self.session.changed()

        try:
            self.session.require_room(0)
            if job.values["recordings"] is not None:
                _lay(self.session, job)
            job.out.parent.mkdir(mode=0o700)
            values = {"key": job.id, **job.values}
            job.result |= await self.session.converting.ask("convert", told, **values)
            job.result["notes"] = [self.session.tidy(one) for one in job.result["notes"]]
            job.took = time.monotonic() - job.begun
            self._paces[job.values["model"]] = job.took / max(job.seconds, 0.1)
            # A cancellation that came too late: what is there is whole, but was not wanted.
            self._end(job, "cancelled" if job.state == "cancelling" else "done")
        except (VctoolError, Refused, OSError) as error:
            unwanted = isinstance(error, WorkerEnded | Cancelled) or "cancelled" in str(error)
            if job.state == "cancelling" and unwanted:
                self._end(job, "cancelled")
            elif isinstance(error, OSError):
                self._end(job, "failed", "The disk cannot be written to; free some space.")
            else:
                self._end(job, "failed", self.session.tidy(str(error)))

    def _insist(self, job: Job) -> None:
        if job.state == "cancelling":
            self.session.converting.restart()

    def _end(self, job: Job, state: str, why: str = "") -> None:
        job.state, job.why, job.place = state, why, 0
        if job.values["recordings"] is not None:
            shutil.rmtree(job.values["recordings"], ignore_errors=True)
        if state != "done":
            shutil.rmtree(job.out.parent, ignore_errors=True)
        over = [one for one in self.session.jobs.values() if one.over]
        for old in over[:-FINISHED]:
            self.remove(old)
        self._renumber()

    def _renumber(self) -> None:
        waiting = (one for one in self.session.jobs.values() if one.state == "waiting")
        for place, job in enumerate(waiting, 1):
            job.place = place
        self.session.changed()


def _lay(session: Session, job: Job) -> None:
    """Lay the recordings of a target into a folder, in the order of their names."""
    folder = Path(job.values["recordings"])
    folder.mkdir(mode=0o700)
    chosen = sorted((session.recording(one) for one in job.asked["target"]), key=lambda it: it.name)
    for place, one in enumerate(chosen):
        os.link(one.path, folder / f"{place:04d}.wav")


FIELDS: dict[str, tuple[type, ...]] = {
    "voice": (str,),
    "backing": (str, type(None)),
    "model": (str,),
    "to": (str, type(None)),
    "target": (list,),
    "transpose": (int, float),
    "stretch": (int, float, type(None)),
    "offset": (int, float),
    "vocoder": (str, type(None)),
    "options": (dict,),
}
"""Fields of a request for a conversion, and their types."""

DEFAULTS: dict[str, Any] = {
    "backing": None,
    "to": None,
    "target": [],
    "transpose": 0,
    "stretch": None,
    "offset": 0,
    "vocoder": None,
    "options": {},
}


def checked(asked: Any) -> dict[str, Any]:
    """Check names, types and ranges of what a page asks for.

    Raises:
        Refused: one is wrong; the sentence names it.
    """
    if not isinstance(asked, dict):
        raise Refused(422, "A conversion is described by an object of JSON.")
    if unknown := sorted(set(asked) - set(FIELDS)):
        raise Refused(422, f"A conversion has no field {unknown[0][:40]!r}.")
    found = DEFAULTS | asked
    for name, kinds in FIELDS.items():
        value = found.get(name)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise Refused(422, f"The field {name} is missing, or of another kind than expected.")
        if isinstance(value, float) and not math.isfinite(value):
            raise Refused(422, f"The field {name} is no finite number.")
    try:
        limits.require_range("transpose", found["transpose"], limits.TRANSPOSE_RANGE)
        if found["stretch"] is not None:
            limits.require_range("stretch", found["stretch"], limits.STRETCH_RANGE)
        limits.require_offset(found["offset"])
    except ConfigError as error:
        told = str(error).removeprefix("--").replace("accomp-offset", "offset")
        raise Refused(422, f"{told[0].upper()}{told[1:]}.") from None
    return found


def made(
    session: Session, found: dict[str, Any], model: Mapping[str, Any], about: Mapping[str, Any]
) -> Job:
    """Make a job of what a page asks for; see `Queue.add`.

    Raises:
        Refused: it cannot be done.
    """
    voice = session.recording(found["voice"])
    if voice.facts["silent"]:
        raise Refused(422, f"{voice.name} is silent; there is nothing to convert.")
    backing = session.recording(found["backing"]) if found["backing"] is not None else None
    targets = [session.recording(one) for one in found["target"]]
    roles = [one for one in model["to"] if one != "recordings"]
    if found["to"] is not None and found["to"] not in roles:
        raise Refused(422, "This model does not convert to that voice.")
    if found["to"] is None and not targets:
        raise Refused(422, "Add recordings of the voice to convert to, or choose a voice.")
    if targets and "recordings" not in model["to"]:
        raise Refused(422, "This model takes no recordings as a target; choose one of its voices.")
    if backing is None and (("*" if targets else found["to"]) in about["backing"]):
        raise Refused(422, "This conversion needs a backing; add one.")
    if found["vocoder"] is not None and found["vocoder"] not in about["vocoders"]:
        raise Refused(422, "This model cannot sound by that vocoder.")
    vocoder = None if found["vocoder"] is None else about["vocoders"][found["vocoder"]]["path"]
    name = new_id()
    to = found["to"] if not targets else _called(targets)
    uses = [voice, *targets, *([backing] if backing is not None else [])]
    values = {
        "source": str(voice.path),
        "out": str(session.folder / "outputs" / name / "out.wav"),
        "model": model["path"],
        "to": None if targets else found["to"],
        "recordings": str(session.folder / "targets" / name) if targets else None,
        "accomp": None if backing is None else str(backing.path),
        "stretch": found["stretch"],
        "transpose": found["transpose"],
        "offset": found["offset"],
        "vocoder": vocoder,
        "options": found["options"],
    }
    return Job(
        id=name,
        name=f"{voice.name} to {to}",
        uses=frozenset(one.id for one in uses),
        asked=found | {"to_name": to, "voice_name": voice.name, "model_name": model["id"]},
        values=values,
        seconds=voice.facts["seconds"],
        backing=None if backing is None else backing.path,
    )


def _called(targets: list[Recording]) -> str:
    """Name a target of recordings: by their folder or, where there is not one, by the first."""
    folders = {one.folder for one in targets}
    if len(folders) == 1 and (folder := folders.pop()):
        return folder
    stem = targets[0].name.rpartition(".")[0] or targets[0].name
    return f"{stem} and {len(targets) - 1} more" if len(targets) > 1 else stem

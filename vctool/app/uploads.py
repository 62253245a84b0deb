"""Recordings as they come in: counted, written under a name of ours, and looked at.

The body of the request is the file. Its name comes in a header, and is only ever displayed.
"""

import urllib.parse

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from vctool.app.lane import WorkerEnded
from vctool.app.session import KINDS, Recording, Refused, Session, new_id, shown
from vctool.errors import DataError, VctoolError

MOST_RECORDINGS = 500
"""Number of recordings that a session holds."""

DEMO_BYTES = 2**20
"""What the recordings of the demo take, and more."""


async def receive(session: Session, request: Request) -> Response:
    """Take a recording in.

    Raises:
        Refused: it is too large, too long, or no recording.
    """
    kind = request.query_params.get("kind", "")
    if kind not in KINDS:
        raise Refused(422, f"A recording is one of {', '.join(KINDS)}.")
    if len(session.recordings) >= MOST_RECORDINGS:
        raise Refused(413, f"A session holds {MOST_RECORDINGS} recordings at most; remove some.")
    declared = request.headers.get("content-length", "0")
    size = int(declared) if declared.isdigit() else 0
    too_large = Refused(
        413, f"A recording may have {session.most / 2**20:g} MB; this one has more."
    )
    if size > session.most:
        raise too_large
    session.require_room(size + session.incoming)
    name, folder = (_told(request, header) for header in ("x-name", "x-folder"))
    name = name or "recording"
    made = new_id()
    path = session.folder / "recordings" / f"{made}.wav"
    written = 0
    session.incoming += size
    kept = False
    try:
        with path.open("wb") as file:
            async for piece in request.stream():
                written += len(piece)
                if written > session.most:
                    raise too_large
                if written > size and not session.room_for(written):
                    raise Refused(507, "The disk is nearly full; free some space and try again.")
                file.write(piece)
        facts = await session.looking.ask("measure", path=str(path), kind=kind)
        kept = True
    except ClientDisconnect:
        return Response(status_code=499)
    except OSError:
        raise Refused(507, "The disk is full; free some space and try again.") from None
    except (VctoolError, DataError) as error:
        status = 503 if isinstance(error, WorkerEnded) else 422
        told = session.tidy(str(error).replace(str(path), name))
        raise Refused(status, told) from None
    finally:
        session.incoming -= size
        if not kept:
            path.unlink(missing_ok=True)
    one = Recording(made, kind, name, path, written, facts, folder)
    session.recordings[made] = one
    session.changed()
    return JSONResponse(one.plain(), 201)


async def demo(session: Session) -> tuple[dict[str, Recording], list[str]]:
    """Take the recordings of the demo in, unless they are here already.

    Returns:
        Its `voice` and `backing`, and the keys of its models.

    Raises:
        Refused: there is no room for them.
    """
    session.require_room(DEMO_BYTES)
    made = {kind: new_id() for kind in ("voice", "backing")}
    paths = {kind: session.folder / "recordings" / f"{one}.wav" for kind, one in made.items()}
    try:
        voice, backing = (str(paths[kind]) for kind in made)
        told = await session.looking.ask("demo", voice=voice, backing=backing)
        for kind, path in paths.items():
            if session.demo.get(kind) in session.recordings:
                continue
            facts = await session.looking.ask("measure", path=str(path), kind=kind)
            name, size = told["names"][kind], path.stat().st_size
            one = Recording(made[kind], kind, name, path, size, facts)
            session.recordings[one.id] = one
            session.demo[kind] = one.id
    finally:
        for kind, path in paths.items():
            if made[kind] not in session.recordings:
                path.unlink(missing_ok=True)
    session.changed()
    return {kind: session.recordings[session.demo[kind]] for kind in made}, told["models"]


def _told(request: Request, header: str) -> str:
    return shown(urllib.parse.unquote(request.headers.get(header, ""), errors="replace"))


def remove(session: Session, name: str) -> Response:
    """Remove a recording.

    Raises:
        Refused: there is none, or a job waits for it.
    """
    one = session.recording(name)
    if any(name in job.uses for job in session.jobs.values() if not job.over):
        raise Refused(409, "A conversion needs this recording; cancel it first.")
    del session.recordings[name]
    one.path.unlink(missing_ok=True)
    if one.playable is not None:
        one.playable.unlink(missing_ok=True)
    session.changed()
    return Response(status_code=204)

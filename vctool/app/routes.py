"""What may be asked of the server.

GET    /  /static/NAME                        the page; a fixed set of files, read at the start
GET    /api/state?since=VERSION               recordings and jobs; waits for a newer version
GET    /api/limits                            ranges of all fields, sizes
GET    /api/models  /api/models/KEY           the models now; what can be asked of one
GET    /api/experiments  .../KEY/report  .../KEY/sound/PLACE
POST   /api/recordings?kind=KIND              the body is the file; its name in X-Name
DELETE /api/recordings/ID
GET    /api/recordings/ID/sound               as a browser plays it; by ranges
POST   /api/jobs                              a conversion; `jobs.FIELDS` in JSON
POST   /api/demo                              the conversions of `vctool convert --demo`
POST   /api/jobs/ID/cancel    DELETE /api/jobs/ID
GET    /api/jobs/ID/look                      pictures, F0, verdicts, time map, levels
GET    /api/jobs/ID/FILE                      voice.wav voice.flac mix.wav mix.flac
(?backing=DB for mixes)
"""

import logging
import math
import urllib.parse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from vctool.app import bodies, uploads
from vctool.app.jobs import Job, Queue, checked
from vctool.app.lane import WorkerEnded
from vctool.app.session import Refused, Session
from vctool.errors import VctoolError
from vctool.inference import limits

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Media types of the page's files, by ending."""

REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; media-src data: blob:; frame-ancestors 'self'"
)
"""A report's: it runs apart, without an origin, and loads nothing."""

Answer = Callable[[Request], Awaitable[Response]]


class Routes:
    """The answers.

    Args:
        session: the state.
        queue: does the conversions.
    """

    def __init__(self, session: Session, queue: Queue) -> None:
        self.session, self.queue = session, queue
        self.models: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.vocoders: list[dict[str, Any]] = []
        self._about: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._static = {
            path.name: (path.read_bytes(), TYPES[path.suffix]) for path in STATIC.iterdir()
        }

    def app(self) -> Starlette:
        """Return the application."""
        routes = [
            _route("/", self.page, "GET"),
            _route("/static/{name}", self.page, "GET"),
            _route("/api/state", self.state, "GET"),
            _route("/api/models", self.list_models, "GET"),
            _route("/api/models/{key}", self.describe, "GET"),
            _route("/api/experiments", self.list_experiments, "GET"),
            _route("/api/experiments/{key}/report", self.report, "GET"),
            _route("/api/experiments/{key}/sound/{place:int}", self.sentence, "GET"),
            _route("/api/recordings", self.upload, "POST"),
            _route("/api/recordings/{name}", self.drop, "DELETE"),
            _route("/api/recordings/{name}/sound", self.sound, "GET"),
            _route("/api/jobs", self.convert, "POST"),
            _route("/api/demo", self.demo, "POST"),
            _route("/api/jobs/{name}", self.forget, "DELETE"),
            _route("/api/jobs/{name}/cancel", self.cancel, "POST"),
            _route("/api/jobs/{name}/look", self.look, "GET"),
            _route("/api/jobs/{name}/{file}", self.output, "GET"),
        ]
        # Debugging is off: it would show code and paths.
        return Starlette(
            routes=routes,
            exception_handlers={HTTPException: _no_such, Exception: _unexpected},
        )

    async def page(self, request: Request) -> Response:
        """Serve a file of the page."""
        found = self._static.get(request.path_params.get("name", "index.html"))
        if found is None:
            raise Refused(404, "There is nothing here.")
        if not request.path_params:  # somebody is there, and a model will be wanted
            self.session.converting.ready()
        return Response(found[0], headers={"content-type": found[1]})

    async def state(self, request: Request) -> Response:
        """Tell recordings and jobs, once they differ from a known version."""
        known = request.query_params.get("since", "")
        if known.isdigit():
            await self.session.wait(int(known))
        return JSONResponse(self.session.state())

    async def list_models(self, request: Request) -> Response:
        """List the models as they are now."""
        found = await self._listed()
        # Where files lie is nobody's business, and of no use in a browser.
        hidden = ("path", "problem")
        plain = [
            {key: value for key, value in one.items() if key not in hidden}
            | {"problem": self.session.tidy(one["problem"]) if one["problem"] else ""}
            for one in found
        ]
        ranges = {
            "stretch": limits.STRETCH_RANGE,
            "transpose": limits.TRANSPOSE_RANGE,
            "offset": (-limits.MOST_OFFSET, limits.MOST_OFFSET),
            "gain": limits.GAIN_RANGE,
            "bytes": self.session.most,
        }
        first = next((one["key"] for one in found if one["pinned"]), None)
        return JSONResponse({"models": plain, "chosen": first, "limits": ranges})

    async def _listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.session.looking.ask(
            "models", pinned=self.session.pinned
        )
        self.models = {one["key"]: one for one in found}
        self.vocoders = await self.session.looking.ask("vocoders")
        return found

    async def describe(self, request: Request) -> Response:
        """Say what can be asked of a model."""
        about = await self._described(request.path_params["key"])
        named = [{"key": key, "name": one["name"]} for key, one in about["vocoders"].items()]
        return JSONResponse(about | {"vocoders": named})

    async def _described(self, key: str) -> dict[str, Any]:
        model = self.models.get(key)
        if model is None:
            raise Refused(404, "This model is not here any more; choose another.")
        trained = self.vocoders
        known = (key, model["modified"], *((one["key"], one["stamp"]) for one in trained))
        if known not in self._about:
            values = {"model": model["path"], "trained": trained}
            self._about[known] = await self.session.converting.ask("describe", **values)
        return self._about[known]

    async def list_experiments(self, request: Request) -> Response:
        """List scored experiments, and those in training, as they are now."""
        found = await self.session.looking.ask("experiments")
        self.experiments = {one["key"]: one for one in found}
        hidden = ("report", "sounds")
        plain = [
            {key: value for key, value in one.items() if key not in hidden}
            | {"report": one["report"] is not None, "sounds": [name for name, _ in one["sounds"]]}
            for one in found
        ]
        return JSONResponse({"experiments": plain})

    def _experiment(self, request: Request) -> dict[str, Any]:
        found = self.experiments.get(request.path_params["key"])
        if found is None:
            raise Refused(404, "This experiment is not here any more.")
        return found

    async def report(self, request: Request) -> Response:
        """Serve the report of an experiment, which gets no rights."""
        found = self._experiment(request)["report"]
        if found is None or not Path(found).is_file():
            raise Refused(404, "This experiment has no report.")
        headers = {"content-security-policy": REPORT_POLICY, "x-frame-options": "SAMEORIGIN"}
        return FileResponse(found, media_type=TYPES[".html"], headers=headers)

    async def sentence(self, request: Request) -> Response:
        """Serve one converted sentence of an experiment."""
        sounds = self._experiment(request)["sounds"]
        place = request.path_params["place"]
        if place >= len(sounds) or not Path(sounds[place][1]).is_file():
            raise Refused(404, "This sentence is not here any more.")
        return FileResponse(sounds[place][1], media_type="audio/wav")

    async def upload(self, request: Request) -> Response:
        """Take a recording in."""
        return await uploads.receive(self.session, request)

    async def drop(self, request: Request) -> Response:
        """Remove a recording."""
        return uploads.remove(self.session, request.path_params["name"])

    async def sound(self, request: Request) -> Response:
        """Serve a recording as a browser plays it."""
        one = self.session.recording(request.path_params["name"])
        if one.playable is None:
            out = one.path.with_suffix(".play.wav")
            self.session.require_room(one.size)
            await self.session.looking.ask("playable", path=str(one.path), out=str(out))
            one.playable = out
        return FileResponse(one.playable, media_type="audio/wav")

    async def convert(self, request: Request) -> Response:
        """Queue a conversion."""
        asked = checked(await bodies.json_of(request))
        about = await self._described(asked["model"])
        job = self.queue.add(asked, self.models[asked["model"]], about)
        return JSONResponse(job.plain(), 201)

    async def demo(self, request: Request) -> Response:
        """Queue what `vctool convert --demo` does: a sentence sung, and in another voice."""
        self.queue.require_places(2)
        await self._listed()
        recordings, models = await uploads.demo(self.session)
        wishes = []
        for key in models:
            about = await self._described(key)
            backing = recordings["backing"].id if about["backing"] else None
            roles = [one for one in self.models[key]["to"] if one != "recordings"]
            asked = {"voice": recordings["voice"].id, "backing": backing, "model": key}
            wishes.append((checked(asked | {"to": roles[-1]}), self.models[key], about))
        made = [self.queue.add(*wish).plain() for wish in wishes]
        ids = {kind: one.id for kind, one in recordings.items()}
        return JSONResponse({"jobs": made, "recordings": ids}, 201)

    def _job(self, request: Request) -> Job:
        found: Job | None = self.session.jobs.get(request.path_params["name"])
        if found is None:
            raise Refused(404, "This conversion is not here any more.")
        return found

    async def cancel(self, request: Request) -> Response:
        """Cancel a conversion."""
        job = self._job(request)
        self.queue.cancel(job)
        return JSONResponse(job.plain(), 202)

    async def forget(self, request: Request) -> Response:
        """Remove a conversion that is over."""
        self.queue.remove(self._job(request))
        return Response(status_code=204)

    async def look(self, request: Request) -> Response:
        """Tell what a conversion looks like."""
        job = self._done(request)
        async with job.busy:
            if "look" not in job.result:
                paths = {"path": str(job.out), "source": job.values["source"]}
                found = await self.session.looking.ask("look", **paths)
                if job.backing is not None:
                    found["levels"] = await self.session.looking.ask(
                        "levels",
                        voice=str(job.out),
                        backing=str(job.backing),
                        offset=float(job.values["offset"]),
                    )
                job.result["look"] = found
        known = {key: job.result[key] for key in ("map", "gains", "notes")}
        return JSONResponse(job.result["look"] | known | {"took": job.took})

    def _done(self, request: Request) -> Job:
        job = self._job(request)
        if job.state != "done":
            raise Refused(409, "This conversion has no result.")
        return job

    async def output(self, request: Request) -> Response:
        """Serve the voice, or its mix with the backing, as WAV or FLAC."""
        job, wanted = self._done(request), request.path_params["file"]
        what, _, form = wanted.partition(".")
        if what not in ("voice", "mix") or form not in ("wav", "flac"):
            raise Refused(404, "There is nothing here.")
        async with job.busy:
            path = job.out if what == "voice" else await self._mixed(job, request)
            if form == "flac":
                flac = path.with_suffix(".flac")
                if not flac.exists():
                    self.session.require_room(path.stat().st_size)
                    await self.session.looking.ask("encode", path=str(path), out=str(flac))
                path = flac
        stem = job.asked["voice_name"].rpartition(".")[0] or job.asked["voice_name"]
        name = f"{stem}.{_word(job.asked['to_name'])}{'.mix' * (what == 'mix')}.{form}"
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{_quoted(name)}"}
        return FileResponse(path, media_type=f"audio/{form}", headers=headers)

    async def _mixed(self, job: Job, request: Request) -> Path:
        """Return the mix of a conversion, at the gain of the backing that is asked for [dB]."""
        if job.backing is None:
            raise Refused(404, "This conversion has no backing.")
        gains = job.result["gains"]
        text = request.query_params.get("backing", str(gains["accomp"]))
        try:
            gain = round(float(text), 2)
        except ValueError:
            gain = math.nan
        low, high = limits.GAIN_RANGE
        if not low <= gain <= high:
            raise Refused(422, f"The backing's gain must lie between {low:g} and {high:g} dB.")
        path = job.out.with_name("mix.wav")
        if job.result.get("mixed") != gain:
            if not job.backing.exists():
                raise Refused(404, "The backing was removed; add it again and convert once more.")
            self.session.require_room(job.backing.stat().st_size)
            job.result["mixed"] = None
            path.with_suffix(".flac").unlink(missing_ok=True)
            await self.session.looking.ask(
                "mix",
                voice=str(job.out),
                backing=str(job.backing),
                out=str(path),
                offset=float(job.values["offset"]),
                vocal_db=gains["vocal"],
                accomp_db=gain,
            )
            job.result["mixed"] = gain
        return path


def _route(path: str, answer: Answer, method: str) -> Route:
    async def told(request: Request) -> Response:
        try:
            return await answer(request)
        except Refused as error:
            close = None
            if method == "POST":
                close = {"connection": "close"}
                await bodies.rest(request)
            return JSONResponse({"error": str(error)}, error.status, headers=close)
        except VctoolError as error:
            session: Session = answer.__self__.session  # type: ignore[attr-defined]
            status = 503 if isinstance(error, WorkerEnded) else 422
            return JSONResponse({"error": session.tidy(str(error))}, status)

    return Route(path, told, methods=[method])


async def _no_such(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = {404: "There is nothing here.", 405: "This cannot be done here."}
    headers = dict(error.headers or {})
    why = told.get(error.status_code, "This request cannot be answered.")
    return JSONResponse({"error": why}, error.status_code, headers=headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    logger.error("vctool app: %s", error, exc_info=error)
    told = "Something went wrong that should not; the terminal has the details."
    return JSONResponse({"error": told}, 500)


def _word(name: str) -> str:
    kept = "".join(one if one.isalnum() or one in "._-" else " " for one in name)
    return "-".join(kept.split())[:60] or "converted"


def _quoted(name: str) -> str:
    return urllib.parse.quote(name.replace("/", "-"), safe="")

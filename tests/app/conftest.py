"""One server, one browser and one folder of models for all tests of the page."""

import http.client
import io
import json
import os
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile

from tests.browser import Browser, until
from tests.conftest import Needs
from tests.sounds import speak
from vctool.config import build, read_yaml
from vctool.engine import checkpoint
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.models.base import Context, family

ROOT = Path(__file__).resolve().parent.parent.parent
RATE = 16000
MOST_MB = 4
"""The cap of uploads here."""

AXE = "4.14.1"
"""Version of axe-core, the reference checker of accessibility, from npm."""


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def why(self) -> str:
        why: str = self.json["error"]
        return why

    def header(self, name: str) -> str | None:
        return next((value for one, value in self.headers if one.lower() == name), None)


class Served:
    """A running `vctool app`.

    Args:
        folder: in which it runs.
        temporary: where its log and its temporary folder go.
        options: of the command.
        prelude: Python that runs before the command, in its process.
    """

    def __init__(
        self,
        folder: Path,
        temporary: Path,
        options: Sequence[str] = (),
        prelude: str = "",
    ) -> None:
        self.folder, self.temporary = folder, temporary
        code = f"{prelude}\nimport sys\nfrom vctool.cli import main\nsys.argv[0] = 'vctool'\nmain()"
        program = ["-c", code] if prelude else ["-m", "vctool"]
        self.log = self.temporary / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program, "app", "--no-open", "--max-mb", str(MOST_MB), *options],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, self.log.read_text()
        found = urllib.parse.urlsplit(self.address)
        assert found.hostname == "127.0.0.1" and found.port is not None
        self.port = found.port
        self.token = urllib.parse.parse_qs(found.query)["token"][0]
        self.cookie = f"vctool-{self.port}={self.token}"

    @property
    def own_folder(self) -> Path:
        """Its temporary folder."""
        (found,) = self.temporary.glob("vctool-app-*")
        return found

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        known: bool = True,
        chunked: bool = False,
    ) -> Answer:
        """Ask it, and check what holds for every answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = {"Cookie": self.cookie} if known else {}
        try:
            connection.request(method, path, body, given | (headers or {}), encode_chunked=chunked)
        except (BrokenPipeError, ConnectionResetError):  # refused before all was sent
            pass
        answer = connection.getresponse()
        made = Answer(answer.status, answer.getheaders(), answer.read())
        connection.close()
        self.check(made)
        return made

    def check(self, answer: Answer) -> None:
        """Check headers of an answer, and the sentence of an error."""
        names = [name.lower() for name, _ in answer.headers]
        assert not any(name.startswith("access-control-") for name in names)
        policy = answer.header("content-security-policy") or ""
        assert "default-src 'none'" in policy and "http" not in policy and "*" not in policy
        assert answer.header("x-content-type-options") == "nosniff"
        if answer.status >= 400:
            assert set(answer.json) == {"error"}
            why = answer.why
            assert why and "\n" not in why and len(why) < 400, why
            assert not re.search(r"(^|\s)/\w|\\|vctool-app|Traceback|--\w", why), why

    def upload(self, kind: str, sound: bytes, name: str = "in.wav", **headers: str) -> Answer:
        """Send a recording."""
        told = {"X-Name": urllib.parse.quote(name), **headers}
        return self.ask("POST", f"/api/recordings?kind={kind}", sound, told)

    def models(self) -> dict[str, dict[str, Any]]:
        """List the models by their ids."""
        return {one["id"]: one for one in self.ask("GET", "/api/models").json["models"]}

    def convert(self, **asked: Any) -> Answer:
        """Ask for a conversion."""
        return self.ask("POST", "/api/jobs", json.dumps(asked))

    def job(self, name: str) -> dict[str, Any]:
        """Return what is known of a conversion."""
        jobs: list[dict[str, Any]] = self.ask("GET", "/api/state").json["jobs"]
        return next(job for job in jobs if job["id"] == name)

    def finished(self, name: str, patience: float = 60.0) -> dict[str, Any]:
        """Wait until a conversion is over."""

        def over() -> dict[str, Any] | None:
            job = self.job(name)
            return job if job["state"] in ("done", "failed", "cancelled") else None

        found: dict[str, Any] = until(over, f"conversion {name}", patience)
        return found

    def clear(self) -> None:
        """Cancel and remove everything."""
        state = self.ask("GET", "/api/state").json
        for job in reversed(state["jobs"]):
            if job["state"] in ("waiting", "running"):
                self.ask("POST", f"/api/jobs/{job['id']}/cancel")
        for job in state["jobs"]:
            self.finished(job["id"])
            self.ask("DELETE", f"/api/jobs/{job['id']}")
        for one in state["recordings"]:
            self.ask("DELETE", f"/api/recordings/{one['id']}")

    def children(self) -> list[int]:
        """Return its workers."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(one) for one in Path(path).read_text().split()]

    def worked(self) -> float:
        """Return the CPU time of its workers [s]."""
        stats = [Path(f"/proc/{one}/stat").read_text() for one in self.children()]
        fields = [stat.rpartition(")")[2].split() for stat in stats]
        return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> int:
        """End it as `kill` does."""
        if self.process.poll() is None:
            self.process.terminate()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(30)


def recorded(wave: np.ndarray, rate: int = RATE, **form: str) -> bytes:
    """Return a file of a wave."""
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format=form.pop("format", "WAV"), **form)
    return file.getvalue()


@pytest.fixture(scope="session")
def wav() -> Callable[..., bytes]:
    return recorded


def save_models(folder: Path, vocoders: bool = False) -> None:
    """Save untaught models: `pair` between two speakers, and `song`, which needs a backing.

    With vocoders instead: `many`, which writes mels, and the vocoders `glass`, which takes them,
    and `tin`, which takes others.
    """
    voice = SpeakerStats(
        log_f0_mean=5.0, log_f0_std=0.2, f0_floor=60, f0_ceil=400, voiced_frames=1000
    )
    made = [("pair", "cyclegan_vc", "16k_mcep", "world", ("ann", "ben")),
            ("song", "vocal_cyclegan", "16k", "world", ("speech", "singing"))]  # fmt: skip
    if vocoders:
        made = [("many", "vae_gan", "16k", "griffin_lim", ("ann", "ben")),
                ("glass", "istft", "16k", "wave", ("voices",)),
                ("tin", "istft", "22k", "wave", ("voices",))]  # fmt: skip
    for name, kind, features, vocoder, roles in made:
        system = family(kind)
        tree = read_yaml(ROOT / "conf" / kind / "tiny.yaml")
        settings = read_yaml(ROOT / "conf" / "features" / f"{features}.yaml")
        voices = dict.fromkeys(roles, voice)
        context = Context(
            features=build(FeatureConfig, settings, features), vocoder=vocoder,
            roles=roles, speakers=voices, domains=voices,
        )  # fmt: skip
        model = system(build(system.Config, tree["model"], name), context)
        recipe = {"convert": {"stretch": 1.5}} if name == "song" else {}
        checkpoint.save(folder / name / "checkpoints", model, family=kind, step=3, recipe=recipe)


class Files(NamedTuple):
    """Recordings on disk."""

    folder: Path
    voice: Path
    other: Path
    """Folder of the voice to become."""
    backing: Path
    long: Path
    """A voice whose conversion takes a while."""


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A folder with models and recordings, in which the server runs."""
    folder = tmp_path_factory.mktemp("app")
    save_models(folder / "exp")
    files = Files(folder, folder / "talk.wav", folder / "anna", folder / "band.wav",
                  folder / "long.wav")  # fmt: skip
    files.other.mkdir()
    soundfile.write(files.voice, speak(1, 110, 2.0), RATE)
    for take in range(3):
        soundfile.write(files.other / f"take {take}.wav", speak(10 + take, 210, 2.0), RATE)
    time = np.arange(3 * RATE) / RATE
    sides = [0.1 * np.sin(2 * np.pi * hz * time) for hz in (220, 330)]
    soundfile.write(files.backing, np.stack(sides, axis=1), RATE)
    soundfile.write(files.long, np.tile(speak(2, 120, 4.0), 12), RATE)
    return files


@pytest.fixture(scope="session")
def shared(place: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server that tests share."""
    running = Served(place.folder, tmp_path_factory.mktemp("server"))
    yield running
    assert running.stop() == 0, running.log.read_text()


@pytest.fixture
def served(shared: Served) -> Iterator[Served]:
    """The shared server, empty."""
    yield shared
    shared.clear()


@pytest.fixture
def start(place: Files, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts servers of a test's own."""
    started: list[Served] = []

    def begin(
        *options: str, folder: Path = place.folder, temporary: Path = tmp_path, prelude: str = ""
    ) -> Served:
        temporary.mkdir(exist_ok=True)
        started.append(Served(folder, temporary, options, prelude))
        return started[-1]

    yield begin
    for one in started:
        one.stop()


@pytest.fixture(scope="session")
def shared_browser(needs: Needs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    needs("chromium")
    with Browser(needs("chromedriver"), tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def page(served: Served, shared_browser: Browser) -> Iterator[Browser]:
    """The page of an empty server, its models listed."""
    shared_browser.size(1280, 900)
    shared_browser.open(served.address)
    shared_browser.wait("document.querySelectorAll('.model input').length > 2")
    shared_browser.js("window.stay = true")
    yield shared_browser
    shared_browser.open("about:blank")


@pytest.fixture(scope="session")
def axe(needs: Needs, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, which npm fetches once and then has in its own cache."""
    npm = needs("npm")
    folder = tmp_path_factory.mktemp("axe")
    options = ["--prefer-offline", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"]
    said = subprocess.run(
        [npm, "install", *options, "--prefix", str(folder), f"axe-core@{AXE}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if said.returncode:
        needs.lacks(f"npm cannot fetch axe-core {AXE}: {said.stderr.strip()[-200:]}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")

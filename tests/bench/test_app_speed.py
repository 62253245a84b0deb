"""What the page costs: its first byte, its size, and how soon it answers while it converts.

Figures are printed, with the goal of each; only what depends on no other work is asserted. CPU
seconds are those of the server's process alone. Waits depend on what else the machine does: the
load is printed beside them.
"""

import http.client
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.app.conftest import RATE, Served, recorded
from tests.browser import until
from tests.sounds import speak
from vctool.inference.converter import Converter

HOUR = float(os.environ.get("VCTOOL_BENCH_APP_SECONDS", "3600"))
"""Length of the long recording [s]."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "anna").mkdir()
    for take in range(4):
        soundfile.write(folder / "anna" / f"{take}.wav", speak(10 + take, 210, 4.0), RATE)
    temporary = tmp_path_factory.mktemp("server")
    running = Served(folder, temporary, ["--max-mb", "600"])
    yield running
    running.stop()


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(process: int, field: str = "VmHWM") -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def told(what: str, value: float, unit: str, goal: str) -> None:
    print(f"{what:48} {value:8.3f} {unit:6} goal {goal}; load {os.getloadavg()[0]:.1f}")


def test_the_first_byte_and_the_page(page: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", page.port)
    connection.request("GET", "/", headers={"Cookie": page.cookie})
    connection.getresponse().read()
    connection.close()
    told("CPU to the first answer", cpu_seconds(page.process.pid), "s", "1")
    names = ("", "static/style.css", "static/app.js", "static/player.js", "static/icon.svg")
    sizes = [len(page.ask("GET", f"/{name}").body) for name in names]
    told("the page", sum(sizes) / 1000, "KB", "100")
    told("memory of the server", megabytes(page.process.pid), "MB", "80")
    assert sum(sizes) < 100_000 and megabytes(page.process.pid) < 80


def converted(page: Served, seconds: float) -> tuple[float, str]:
    """Convert a voice, and return how long that took and which conversion it was."""
    wave = np.tile(speak(2, 120, 3.0), int(np.ceil(seconds / 3)))[: round(seconds * RATE)]
    voice = page.upload("voice", recorded(wave)).json["id"]
    asked = {"voice": voice, "target": targets(page), "model": page.models()["knn_vc"]["key"]}
    begun = time.perf_counter()
    name = page.convert(**asked).json["id"]
    version = 0
    while True:
        state = page.ask("GET", f"/api/state?since={version}").json
        version = state["version"]
        (job,) = (one for one in state["jobs"] if one["id"] == name)
        if job["state"] in ("done", "failed"):
            assert job["state"] == "done", job
            return time.perf_counter() - begun, name


def targets(page: Served) -> list[str]:
    have = page.ask("GET", "/api/state").json["recordings"]
    known = [one["id"] for one in have if one["kind"] == "target"]
    files = sorted((page.folder / "anna").iterdir())
    return known or [page.upload("target", one.read_bytes()).json["id"] for one in files]


def test_a_warm_conversion_and_the_same_in_python(page: Served) -> None:
    converted(page, 3.0)  # loads the model, analyses the target
    converter = Converter("knn_vc", "cpu", rate=16000)
    reference = converter.reference(str(page.folder / "anna"))
    wave = speak(2, 120, 3.0).astype(np.float32)
    converter.convert(wave, RATE, to=reference)
    rounds = []
    for _ in range(5):
        begun, used = time.perf_counter(), time.process_time()
        converter.convert(wave, RATE, to=reference)
        here = time.perf_counter() - begun, time.process_time() - used
        used = page.worked() + cpu_seconds(page.process.pid)
        there = converted(page, 3.0)[0], page.worked() + cpu_seconds(page.process.pid) - used
        rounds.append((*here, *there))
    python, python_cpu, through, through_cpu = np.median(rounds, axis=0)
    told("3 s of voice in Python, warm", python, "s", "-")
    told("the same through the page, and sent to it", through, "s", "-")
    told("more than in Python", through - python, "s", "0.5")
    told("CPU in Python", python_cpu, "s", "-")
    told("more CPU through the page, both workers' and its own", through_cpu - python_cpu, "s", "-")


def test_answers_during_a_conversion_and_cancelling(page: Served) -> None:
    wave = np.tile(speak(2, 120, 4.0), 30)
    voice = page.upload("voice", recorded(wave)).json["id"]
    asked = {"voice": voice, "target": targets(page), "model": page.models()["knn_vc"]["key"]}
    name = page.convert(**asked).json["id"]
    until(lambda: page.job(name)["state"] == "running", "running")
    waits = []
    for path in ("/", "/api/state", "/static/app.js", "/api/nothing") * 10:
        begun = time.perf_counter()
        page.ask("GET", path)
        waits.append(time.perf_counter() - begun)
    told("an answer during a conversion, median", float(np.median(waits)), "s", "0.1")
    told("the slowest of 40", max(waits), "s", "0.1")
    begun = time.perf_counter()
    assert page.ask("POST", f"/api/jobs/{name}/cancel").json["state"] == "cancelling"
    told("cancelling is acknowledged", time.perf_counter() - begun, "s", "0.5")
    page.finished(name)
    told("and done", time.perf_counter() - begun, "s", "2 and a moment")


def test_an_hour_takes_the_memory_of_a_minute(page: Served) -> None:
    """The peak of the worker that converts, after a minute and after an hour of voice."""
    converted(page, 60.0)
    workers = page.children()
    minute = {one: megabytes(one) for one in workers}
    took, name = converted(page, HOUR)
    hour = {one: megabytes(one) for one in workers}
    seconds = page.job(name)["seconds"]
    assert seconds == pytest.approx(HOUR)
    for one in workers:
        command = f"worker {one} over {minute[one]:.0f} MB of a minute"
        told(command, hour[one] - minute[one], "MB", "200")
    told(f"{HOUR:.0f} s of voice", took, "s", "-")
    told("memory of the server", megabytes(page.process.pid), "MB", "80")
    assert json.dumps(page.job(name))

"""Bad input: one sentence each, and a server that goes on working."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.app.conftest import RATE, Files, Served
from tests.browser import until
from tests.sounds import speak
from vctool.app import jobs
from vctool.app.session import Refused

Wav = Callable[..., bytes]
VOICE = speak(1, 110, 0.5)


def bad(wav: Wav) -> dict[str, tuple[bytes, str]]:
    """Return files that something is wrong with, and a word of the sentence about each."""
    nan = VOICE.copy()
    nan[100] = np.nan
    return {
        "empty": (b"", "empty"),
        "text": (b"RIFF is what this is not, and neither is it a recording" * 9, "not audio"),
        "bare header": (wav(VOICE[:0]), "no samples"),
        "truncated": (wav(VOICE)[:5000], "truncated"),
        "NaN": (wav(nan, subtype="FLOAT"), "NaN"),
        "0.05 s": (wav(VOICE[: RATE // 20]), "at least 0.1 s"),
    }


@pytest.mark.parametrize("kind", ["voice", "target", "backing"])
@pytest.mark.parametrize("what", ["empty", "text", "bare header", "truncated", "NaN", "0.05 s"])
def test_what_is_no_recording_is_said(served: Served, wav: Wav, what: str, kind: str) -> None:
    sound, told = bad(wav)[what]
    answer = served.upload(kind, sound, "my take.wav")
    if (what, kind) == ("0.05 s", "backing"):
        assert answer.status == 201  # it is looped
        return
    assert answer.status == 422 and told in answer.why and "my take.wav" in answer.why
    assert not list(served.own_folder.glob("recordings/*"))


def test_silence_is_told_of_and_not_converted(served: Served, wav: Wav) -> None:
    answer = served.upload("voice", wav(np.zeros(RATE)))
    assert answer.status == 201 and answer.json["silent"] and "silent" in answer.json["said"][0]
    target = served.upload("target", wav(VOICE)).json["id"]
    key = served.models()["knn_vc"]["key"]
    asked = served.convert(voice=answer.json["id"], target=[target], model=key)
    assert asked.status == 422 and "silent" in asked.why


def test_what_preparing_would_leave_out_is_said(served: Served, wav: Wav) -> None:
    flat = np.clip(8 * VOICE, -1, 1)
    answer = served.upload("voice", wav(flat))
    assert "leave it out: clipped" in " ".join(answer.json["said"])
    f0 = served.upload("voice", wav(speak(3, 150, 2.0))).json["f0"]
    assert f0[0] < 150 < f0[2] or abs(f0[1] - 150) < 25


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (192000, 1), (16000, 8)])
def test_odd_recordings_are_taken_and_played(
    served: Served, wav: Wav, rate: int, channels: int
) -> None:
    voice = np.repeat(speak(1, 110, 0.5), max(1, rate // RATE))
    wave = np.stack([voice] * channels, axis=1) if channels > 1 else voice
    answer = served.upload("voice", wav(wave, rate))
    assert answer.status == 201
    assert (answer.json["rate"], answer.json["channels"]) == (rate, channels)
    sound = served.ask("GET", f"/api/recordings/{answer.json['id']}/sound")
    assert sound.status == 200 and sound.header("content-type") == "audio/wav"
    assert int.from_bytes(sound.body[24:28], "little") == min(rate, 48000)
    part = served.ask(
        "GET", f"/api/recordings/{answer.json['id']}/sound", headers={"Range": "bytes=0-99"}
    )
    assert part.status == 206 and part.body == sound.body[:100]


def test_an_aborted_upload_leaves_nothing(served: Served, wav: Wav) -> None:
    head = (
        f"POST /api/recordings?kind=voice HTTP/1.1\r\nHost: localhost\r\nCookie: {served.cookie}"
        "\r\nContent-Length: 100000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.port)) as sent:
        sent.sendall(head.encode() + b"x" * 50000)
        until(lambda: list(served.own_folder.glob("recordings/*")), "it is being written")
    until(lambda: not list(served.own_folder.glob("recordings/*")), "it is gone")
    assert served.upload("voice", wav(VOICE)).status == 201


@pytest.fixture(scope="module")
def asked(shared: Served, wav: Wav) -> Iterator[dict[str, Any]]:
    """A conversion that would be done."""
    shared.clear()
    models = shared.models()
    yield {
        "voice": shared.upload("voice", wav(VOICE)).json["id"],
        "target": [shared.upload("target", wav(VOICE)).json["id"]],
        "model": models["knn_vc"]["key"],
        "pair": models["pair"]["key"],
        "song": models["song"]["key"],
    }
    shared.clear()


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"stretch": 9}, 422, "Stretch 9: must lie between 0.25 and 4"),
        ({"transpose": -99}, 422, "Transpose -99: must lie between"),
        ({"offset": 1e9}, 422, "Offset"),
        ({"stretch": "long"}, 422, "stretch"),
        ({"stretch": True}, 422, "stretch"),
        ({"model": "0123456789abcdef"}, 404, "model"),
        ({"model": "/etc/passwd"}, 404, "model"),
        ({"voice": "0123"}, 404, "recording"),
        ({"voice": None}, 422, "voice"),
        ({"voice": ["a"]}, 422, "voice"),
        ({"target": ["../x"]}, 404, "recording"),
        ({"target": [{}]}, 404, "recording"),
        ({"target": []}, 422, "Add recordings"),
        ({"backing": "../../etc/passwd"}, 404, "recording"),
        ({"vocoder": "exp/pair"}, 422, "vocoder"),
        ({"vocoder": "griffin_lim"}, 422, "vocoder"),
        ({"colour": "red"}, 422, "colour"),
        ({"model": "song", "target": [], "to": "singing"}, 422, "needs a backing"),
        ({"model": "pair", "target": [], "to": "carl"}, 422, "does not convert to that voice"),
        ({"model": "pair"}, 422, "takes no recordings"),
    ],
)
def test_wrong_wishes_are_named(
    shared: Served, asked: dict[str, Any], change: dict[str, Any], status: int, told: str
) -> None:
    wanted = {name: asked[name] for name in ("voice", "target", "model")} | change
    wanted["model"] = asked.get(wanted["model"], wanted["model"])
    answer = shared.convert(**wanted)
    assert answer.status == status and told in answer.why, answer.why


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff\xfe", b'"x"', b"[" * 60000])
def test_bad_json_is_refused(shared: Served, body: bytes) -> None:
    assert shared.ask("POST", "/api/jobs", body).status == 422


def test_numbers_that_are_none_are_refused() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(Refused, match="finite"):
            jobs.checked({"voice": "a", "model": "b", "transpose": value})


def test_options_of_a_family_are_checked_by_it(shared: Served, asked: dict[str, Any]) -> None:
    wanted = {name: asked[name] for name in ("voice", "target", "model")}
    for options, told in (({"amount": 7}, "amount"), ({"louder": 1}, "louder")):
        job = shared.convert(**wanted, options=options).json
        found = shared.finished(job["id"])
        assert found["state"] == "failed" and told in found["why"], found


def test_a_model_that_is_gone_is_said(served: Served, place: Files, wav: Wav) -> None:
    gone = place.folder / "exp" / "gone"
    shutil.copytree(place.folder / "exp" / "pair", gone)
    voice = served.upload("voice", wav(VOICE)).json["id"]
    key = served.models()["gone"]["key"]
    assert served.ask("GET", f"/api/models/{key}").status == 200
    shutil.rmtree(gone)
    job = served.convert(voice=voice, model=key, to="ben").json
    found = served.finished(job["id"])
    assert found["state"] == "failed" and "gone" in found["why"]
    assert str(place.folder) not in found["why"] and "exp/" not in found["why"]
    assert "gone" not in served.models()
    assert served.convert(voice=voice, model=key, to="ben").status == 404


def test_a_worker_that_is_killed_is_started_again(served: Served, place: Files) -> None:
    voice = served.upload("voice", place.long.read_bytes()).json["id"]
    target = served.upload("target", (place.other / "take 0.wav").read_bytes()).json["id"]
    asked = {"voice": voice, "target": [target], "model": served.models()["knn_vc"]["key"]}
    idle = served.worked()
    job = served.convert(**asked).json["id"]
    until(lambda: served.worked() > idle + 0.3, "in the middle of it")
    assert served.job(job)["state"] == "running"
    before = served.children()
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    found = served.finished(job)
    assert found["state"] == "failed" and "unexpectedly" in found["why"]
    short = served.upload("voice", place.voice.read_bytes()).json["id"]
    again = served.convert(**(asked | {"voice": short})).json["id"]
    assert served.finished(again)["state"] == "done"
    assert not set(served.children()) & set(before)


def refused(place: Files, *options: str) -> str:
    """Start a server that does not come up, and return its one line."""
    said = subprocess.run(
        [sys.executable, "-m", "vctool", "app", "--no-open", *options],
        cwd=place.folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert said.returncode == 2 and said.stdout == "" and said.stderr.count("\n") == 1
    return said.stderr


def test_a_taken_port_is_one_line(shared: Served, place: Files) -> None:
    assert f"--port {shared.port}" in refused(place, "--port", str(shared.port))


def test_a_model_that_is_not_there_is_one_line(place: Files) -> None:
    assert "pairs: no such model here" in refused(place, "--model", "pairs")
    assert "exp/none: no such model" in refused(place, "--model", "exp/none")


def test_a_model_is_chosen_at_first_wherever_it_lies(
    start: Callable[..., Served], place: Files, tmp_path: Path
) -> None:
    shutil.copytree(place.folder / "exp" / "pair", tmp_path / "elsewhere")
    for named in ("song", str(tmp_path / "elsewhere"), "knn_vc"):
        other = start("--model", named, temporary=tmp_path / named.replace("/", "_"))
        listed = other.ask("GET", "/api/models").json
        first = listed["models"][0]
        assert first["key"] == listed["chosen"]
        assert first["id"] == named
        assert len(listed["models"]) == 5 + ("elsewhere" in named)
        other.stop()


def test_results_are_there_in_every_form(served: Served, place: Files, wav: Wav) -> None:
    voice = served.upload("voice", place.voice.read_bytes(), "tälk.wav").json["id"]
    backing = served.upload("backing", place.backing.read_bytes()).json["id"]
    target = served.upload("target", (place.other / "take 0.wav").read_bytes()).json["id"]
    key = served.models()["knn_vc"]["key"]
    job = served.convert(voice=voice, target=[target], model=key, backing=backing).json["id"]
    assert served.ask("GET", f"/api/jobs/{job}/voice.wav").status in (200, 409)
    assert served.finished(job)["state"] == "done"
    sounds = {}
    for what in ("voice", "mix"):
        for form in ("wav", "flac"):
            answer = served.ask("GET", f"/api/jobs/{job}/{what}.{form}?backing=-6")
            assert answer.status == 200 and answer.header("content-type") == f"audio/{form}"
            named = f"t%C3%A4lk.in{'.mix' * (what == 'mix')}.{form}"
            assert named in (answer.header("content-disposition") or "")
            sounds[what, form] = soundfile.read(io.BytesIO(answer.body), dtype="int16")[0]
        np.testing.assert_array_equal(sounds[what, "wav"], sounds[what, "flac"])
    assert sounds["mix", "wav"].shape[1] == 2
    # The slider's value counts: a backing 20 dB softer leaves less beside the voice.
    soft = served.ask("GET", f"/api/jobs/{job}/mix.flac?backing=-60")
    wave = soundfile.read(io.BytesIO(soft.body), dtype="int16")[0]
    sides = [
        float(np.abs(np.diff(one.astype(float), axis=1)).mean())
        for one in (wave, sounds["mix", "wav"])
    ]
    assert sides[0] < 0.02 * sides[1]
    for wrong in ("21", "-61", "loud", "nan", ""):
        assert served.ask("GET", f"/api/jobs/{job}/mix.wav?backing={wrong}").status == 422
    look = served.ask("GET", f"/api/jobs/{job}/look").json
    assert look["map"] == [] and look["verdicts"] == []
    assert served.ask("DELETE", f"/api/recordings/{backing}").status == 204
    assert served.ask("GET", f"/api/jobs/{job}/mix.wav?backing=3").status == 404
    assert json.dumps(look).count("NaN") == 0
    assert served.ask("DELETE", f"/api/jobs/{job}").status == 204
    assert not list(served.own_folder.glob("outputs/*"))

"""Who may ask the server, and what it gives away: every status by plain HTTP."""

import json
import os
import signal
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.app.conftest import MOST_MB, Files, Served
from tests.browser import until
from tests.sounds import speak

Wav = Callable[..., bytes]
Start = Callable[..., Served]

PATHS = ("/", "/static/style.css", "/static/app.js", "/api/state", "/api/models", "/nothing",
         "/api/jobs/1/voice.wav", "/favicon.ico", "/api/experiments")  # fmt: skip


def listeners(port: int) -> list[str]:
    """Return the addresses on which a port is listened on, as the kernel has them."""
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                found.append(local.rpartition(":")[0])
    return found


def test_only_this_machine_is_listened_to(shared: Served) -> None:
    assert listeners(shared.port) == ["0100007F"]  # 127.0.0.1, little-endian


def test_no_option_opens_it_to_others() -> None:
    import typer

    from vctool.cli import app

    command = typer.main.get_command(app).commands["app"]  # type: ignore[attr-defined]
    names = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    assert names == {"--port", "--model", "--max-mb", "--open", "--no-open"}
    usual = {one.name: one.default for one in command.params}
    assert (usual["port"], usual["max_mb"], usual["model"]) == (0, 300, None)


def test_the_page_may_load_nothing_from_elsewhere(shared: Served) -> None:
    policy = shared.ask("GET", "/").header("content-security-policy") or ""
    allowed = {name: set(places) for name, *places in map(str.split, policy.split(";"))}
    assert allowed.pop("default-src") == {"'none'"}
    assert allowed["media-src"] == {"'self'", "blob:"}
    assert set().union(*allowed.values()) == {"'self'", "'none'", "blob:"}


def test_the_address_gives_a_cookie_once(shared: Served) -> None:
    answer = shared.ask("GET", f"/?token={shared.token}", known=False)
    assert answer.status == 303 and answer.header("location") == "/"
    cookie = (answer.header("set-cookie") or "").split("; ")
    assert cookie[0] == shared.cookie
    assert {"HttpOnly", "SameSite=strict", "Path=/"} == set(cookie[1:])  # and of this session alone
    assert len(shared.token) >= 43  # 256 bits in base 64
    assert shared.ask("GET", "/").status == 200


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_given_without_the_cookie(shared: Served, path: str) -> None:
    assert shared.ask("GET", path, known=False).status == 401
    wrong = {"Cookie": f"vctool-{shared.port}={'x' * 43}"}
    assert shared.ask("GET", path, headers=wrong, known=False).status == 401
    assert shared.ask("POST", path, b"x" * 10, known=False).status == 401


@pytest.mark.parametrize("query", ["token=", "token=x", "token=%00", "token={0}&token=x"])
def test_a_wrong_token_gives_nothing(shared: Served, query: str) -> None:
    answer = shared.ask("GET", f"/?{query.format(shared.token)}", known=False)
    assert answer.status == 401 and answer.header("set-cookie") is None


def test_every_start_has_its_own_token(shared: Served, start: Start) -> None:
    other = start()
    assert other.token != shared.token
    assert other.ask("GET", "/", headers={"Cookie": shared.cookie}, known=False).status == 401


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "evil@127.0.0.1",
     "192.168.0.1", "0.0.0.0", "[::]", "127.0.0.1:99:99", ""],
)  # fmt: skip
def test_other_hosts_are_not_this_one(shared: Served, host: str) -> None:
    assert shared.ask("GET", "/", headers={"Host": host}).status == 421


def test_its_own_names_are_answered_through_a_tunnel_too(shared: Served) -> None:
    for host in (f"127.0.0.1:{shared.port}", "localhost:8000", "localhost", "[::1]:9"):
        assert shared.ask("GET", "/api/state", headers={"Host": host}).status == 200


def raw(port: int, request: bytes) -> bytes:
    """Send bytes, and return the first line of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sent:
        sent.sendall(request)
        return sent.makefile("rb").readline()


def test_a_request_has_one_host(shared: Served) -> None:
    none = b"GET / HTTP/1.0\r\n\r\n"
    assert b" 421 " in raw(shared.port, none)
    two = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert raw(shared.port, two).split()[1] in (b"400", b"421")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{0}",
                                    "http://127.0.0.1:1", "http://localhost:{0}"])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_pages_of_others_may_not_ask(shared: Served, origin: str, method: str) -> None:
    headers = {"Origin": origin.format(shared.port)}
    assert shared.ask(method, "/api/jobs", headers=headers).status == 403


def test_its_own_page_may(served: Served) -> None:
    own = {"Origin": f"http://127.0.0.1:{served.port}", "Sec-Fetch-Site": "same-origin"}
    assert served.ask("POST", "/api/jobs", b"{}", own).status == 422
    assert served.ask("GET", "/", headers={"Sec-Fetch-Site": "none"}).status == 200
    assert served.ask("OPTIONS", "/api/jobs", headers=own).status == 405


@pytest.mark.parametrize("site", ["cross-site", "same-site", "unheard-of"])
def test_cross_site_fetches_are_refused(shared: Served, site: str) -> None:
    headers = {"Sec-Fetch-Site": site}
    assert shared.ask("GET", "/static/app.js", headers=headers).status == 403
    address = f"/?token={shared.token}"
    assert shared.ask("GET", address, headers=headers, known=False).status == 403


@pytest.mark.parametrize(
    "path",
    ["/static/../guard.py", "/static/..%2fguard.py", "/static/%2e%2e/guard.py", "/static/%00",
     "/static/app.js%00.css", "/static%2fapp.js", "/static//app.js", "/..", "/%2e", "//etc/passwd",
     "/static/..\\guard.py", "/static/%5cetc", "/static/.env", "/static/guard.py", "/static/",
     "/api/recordings/..%2f..%2fetc%2fpasswd/sound", "/api/jobs/x/voice.exe",
     "/api/experiments/..%2f/report", "/static/%252e%252e%252fguard.py"],
)  # fmt: skip
def test_no_path_leads_out(shared: Served, path: str) -> None:
    assert shared.ask("GET", path).status == 404


def test_names_of_files_stay_out_of_the_file_system(served: Served, wav: Wav) -> None:
    name = "../../../../tmp/<img src=x onerror=alert(1)>\0\n.wav"
    made = served.upload("voice", wav(speak(1, 110, 0.3)), name, **{"X-Folder": "..%2f..%2f"})
    assert made.status == 201 and made.json["name"] == name.replace("\0\n", "")
    kept = [path for path in served.own_folder.rglob("*") if path.is_file()]
    kept = [path for path in kept if path.parent.name != "references"]  # of targets before
    assert {path.name for path in kept} == {"lock", f"{made.json['id']}.wav"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (served.own_folder,))


def test_what_is_declared_too_large_is_not_read(served: Served) -> None:
    most = MOST_MB * 2**20
    head = (
        f"POST /api/recordings?kind=voice HTTP/1.1\r\nHost: localhost\r\nCookie: {served.cookie}"
        f"\r\nContent-Length: {most + 1}\r\n\r\n"
    )
    assert b" 413 " in raw(served.port, head.encode())  # before a byte of it


def test_what_comes_is_counted(served: Served, wav: Wav) -> None:
    most = MOST_MB * 2**20
    full = wav(np.zeros((most - 44) // 2, np.int16), 48000)
    assert len(full) == most
    assert served.upload("backing", full).status == 201
    assert served.upload("backing", full + b"x").status == 413
    undeclared = (full[at : at + 65536] for at in range(0, len(full), 65536))
    more = served.ask(
        "POST", "/api/recordings?kind=backing", (*undeclared, b"x"),
        {"Transfer-Encoding": "chunked"}, chunked=True,
    )  # fmt: skip
    assert more.status == 413 and "4 MB" in more.why
    assert len(list(served.own_folder.glob("recordings/*"))) == 1
    assert served.ask("POST", "/api/jobs", b'"' + b"x" * 70000 + b'"').status == 413


def test_a_session_has_a_limit(served: Served, wav: Wav) -> None:
    full = wav(np.zeros(MOST_MB * 2**20 // 2 - 22, np.int16), 48000)
    answers = [served.upload("backing", full).status for _ in range(11)]
    assert answers == [201] * 9 + [413] * 2 or answers == [201] * 10 + [413]


def test_the_reason_comes_through_however_much_was_on_its_way(served: Served) -> None:
    # Refused by its headers. A connection that is closed at once is reset, and loses the answer.
    for size in (2**20, 2**23, 2**25):
        head = (
            f"POST /api/recordings?kind=none HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
            f"Cookie: {served.cookie}\r\nContent-Length: {size}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
            connection.sendall(head.encode() + b"x" * size)
            said = b"".join(iter(lambda: connection.recv(2**16), b""))
        assert said.startswith(b"HTTP/1.1 422 ") and b"A recording is one of" in said, size


def test_a_full_disk_is_said(start: Start, wav: Wav) -> None:
    other = start(prelude="import vctool.app.session as one\none.RESERVE = 2**60")
    answer = other.upload("voice", wav(speak(1, 110, 0.3)))
    assert answer.status == 507 and "disk" in answer.why
    assert not list(other.own_folder.glob("recordings/*"))
    chunked = {"Transfer-Encoding": "chunked"}
    answer = other.ask("POST", "/api/recordings?kind=voice", (b"x" * 100,), chunked, chunked=True)
    assert answer.status == 507


def test_what_decodes_to_more_than_four_hours_is_refused(served: Served, wav: Wav) -> None:
    rate = 1000  # the lowest that is believed
    small = wav(np.zeros(round(4.01 * 3600 * rate), np.int16), rate, format="FLAC")
    assert len(small) < 2**20
    answer = served.upload("voice", small)
    assert answer.status == 422 and "4 hours" in answer.why


def test_no_more_than_eight_conversions_wait(served: Served, place: Files) -> None:
    voice = served.upload("voice", place.long.read_bytes()).json["id"]
    target = served.upload("target", (place.other / "take 0.wav").read_bytes()).json["id"]
    asked = {"voice": voice, "target": [target], "model": served.models()["knn_vc"]["key"]}
    first = served.convert(**asked)
    assert first.status == 201
    until(lambda: served.job(first.json["id"])["state"] == "running", "running")
    statuses = [served.convert(**asked).status for _ in range(9)]
    assert statuses == [201] * 8 + [429]
    places = [job["place"] for job in served.ask("GET", "/api/state").json["jobs"]]
    assert places == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert served.ask("DELETE", f"/api/recordings/{voice}").status == 409


def test_its_folder_is_for_one_user_and_goes_with_it(start: Start, wav: Wav) -> None:
    other = start()
    folder = other.own_folder
    assert other.ask("GET", "/").status == 200  # which starts all workers
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    workers = other.children()
    assert len(workers) == 3  # two, and one of Python's own that tracks what they share
    assert other.upload("voice", wav(speak(1, 110, 0.3))).status == 201
    assert other.stop() == 0
    assert not folder.exists() and other.log.read_text().count("\n") == 1  # the hint alone
    until(lambda: not any(Path(f"/proc/{one}").exists() for one in workers), "workers end")


def test_ctrl_c_ends_it_too(start: Start) -> None:
    other = start()
    folder = other.own_folder
    assert other.ask("GET", "/").status == 200
    for process in (*other.children(), other.process.pid):  # as a terminal does
        os.kill(process, signal.SIGINT)
    assert other.process.wait(20) == 0 and not folder.exists()
    assert "Traceback" not in other.log.read_text()


def test_what_a_killed_server_left_goes_at_the_next_start(start: Start, wav: Wav) -> None:
    killed = start()
    folder, workers = killed.own_folder, killed.children()
    assert killed.upload("voice", wav(speak(1, 110, 0.3))).status == 201
    killed.process.kill()
    killed.process.wait()
    until(lambda: not any(Path(f"/proc/{one}").exists() for one in workers), "workers end")
    assert list(folder.rglob("*.wav"))
    elsewhere = folder.with_name("vctool-app-of-nobody")
    elsewhere.symlink_to(killed.folder)
    living = start()
    assert not folder.exists() and killed.folder.is_dir()
    # and what is alive stays
    third = start()
    state = "/api/state"
    assert living.ask("GET", state).status == third.ask("GET", state).status == 200
    elsewhere.unlink()


def test_the_server_imports_no_torch(shared: Served) -> None:
    maps = Path(f"/proc/{shared.process.pid}/maps").read_text()
    assert "torch" not in maps and "numpy" not in maps and "libsndfile" not in maps
    peak = int(Path(f"/proc/{shared.process.pid}/status").read_text().split("VmHWM:")[1].split()[0])
    assert peak < 80 * 1024


def test_a_report_gets_no_rights(served: Served, place: Files) -> None:
    folder = place.folder / "exp" / "pair"
    row = {"model": {"value": 1.5, "low": 1.0, "high": 2.0}, "copy": {"value": 3.0}}
    (folder / "results.json").write_text(json.dumps({"measures": {"mcd": row}, "systems": {}}))
    (folder / "report.html").write_text("<script>fetch('/api/state')</script>")
    try:
        listed = {
            one["name"]: one for one in served.ask("GET", "/api/experiments").json["experiments"]
        }
        assert listed["pair"]["scores"][0]["others"] == {"copy": 3.0}
        assert str(place.folder) not in json.dumps(listed)
        answer = served.ask("GET", f"/api/experiments/{listed['pair']['key']}/report")
        assert answer.status == 200
        policy = (answer.header("content-security-policy") or "").split("; ")
        assert "sandbox allow-scripts" in policy and "default-src 'none'" in policy
        assert not any(one.startswith("connect-src") for one in policy)
        assert answer.header("x-frame-options") == "SAMEORIGIN"
        (folder / "report.html").unlink()
        gone = served.ask("GET", f"/api/experiments/{listed['pair']['key']}/report")
        assert gone.status == 404
    finally:
        (folder / "results.json").unlink()


def test_other_requests_are_answered_during_a_conversion(served: Served, place: Files) -> None:
    voice = served.upload("voice", place.long.read_bytes()).json["id"]
    target = served.upload("target", (place.other / "take 0.wav").read_bytes()).json["id"]
    asked = {"voice": voice, "target": [target], "model": served.models()["knn_vc"]["key"]}
    name = served.convert(**asked).json["id"]
    until(lambda: served.job(name)["state"] == "running", "running")
    began = time.monotonic()
    assert served.ask("POST", f"/api/jobs/{name}/cancel").status == 202
    assert time.monotonic() - began < 2  # far more than it takes, whatever else runs here
    assert served.finished(name)["state"] == "cancelled"
    assert not list(served.own_folder.glob("outputs/*"))

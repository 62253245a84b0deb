"""What tests of corpora share: a web server that misbehaves as it is told."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

PIECE = 8192


class Server(ThreadingHTTPServer):
    """Serves `files`; request k is answered as `script[k]` says, and well after its end."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.script: list[str] = []
        self.ranges: list[str | None] = []
        """What part each request asked for."""
        self.paths: list[str] = []
        self.sent = 0
        """Bytes of bodies."""
        self.pause = 0.0
        """Wait after every piece [s]."""
        self.etag = '"one"'
        self.begun = threading.Event()
        """Set by the first body's first piece."""
        self.over = threading.Event()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that were killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        number = len(server.ranges)
        wanted = self.headers.get("Range")
        server.ranges.append(wanted)
        server.paths.append(self.path)
        assert self.headers["Accept-Encoding"] == "identity"
        how = server.script[number] if number < len(server.script) else "well"
        self.close_connection = True
        if how[:3].isdecimal():
            status, _, after = how.partition(" ")
            return self._head(int(status), {"Retry-After": after} if after else {}, 0)
        if how.startswith("redirect "):
            return self._head(302, {"Location": how.split(" ", 1)[1]}, 0)
        body = server.files[self.path.lstrip("/")]
        if how == "page":
            body = b"<html>please log in</html>"
            self._head(200, {"Content-Type": "text/html; charset=utf-8"}, len(body))
            return self._send(body)
        if how == "wrong":
            body = bytes(len(body))
        first = 0
        if self.headers.get("If-Range", server.etag) != server.etag:
            wanted = None
        if wanted is not None and how != "no ranges":
            first = int(wanted.removeprefix("bytes=").rstrip("-"))
            if first >= len(body):
                return self._head(416, {"Content-Range": f"bytes */{len(body)}"}, 0)
        if how == "other part":
            first = max(0, first - 100)
        part = body[first:]
        stated = len(part) + {"says more": 1000, "says less": -1000}.get(how, 0)
        marks = {"Accept-Ranges": "bytes", "ETag": server.etag}
        if wanted is not None and how != "no ranges":
            marks["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
            self._head(206, marks, stated)
        elif how == "chunked":
            self._head(200, {**marks, "Transfer-Encoding": "chunked"}, None)
            for start in range(0, len(part), PIECE):
                piece = part[start : start + PIECE]
                self._send(b"%x\r\n" % len(piece) + piece + b"\r\n")
            return self._send(b"0\r\n\r\n")
        else:
            self._head(200, marks, stated)
        if how in ("cut", "stall", "dribble"):
            part = part[: len(part) // 2]
        self._send(part[:stated])
        if how == "stall":
            server.over.wait(20)
        while how == "dribble" and not server.over.wait(0.05):
            self._send(b"x")
        return None

    def _head(self, status: int, marks: dict[str, str], length: int | None) -> None:
        self.send_response(status)
        for name, value in marks.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()

    def _send(self, body: bytes) -> None:
        for start in range(0, len(body), PIECE):
            piece = body[start : start + PIECE]
            self.wfile.write(piece)
            self.server.sent += len(piece)
            self.server.begun.set()
            time.sleep(self.server.pause)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on this machine, for the length of a test."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.over.set()
    running.shutdown()
    running.server_close()
    thread.join()

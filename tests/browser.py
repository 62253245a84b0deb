"""A real browser for tests: Debian's Chromium, driven through WebDriver (W3C) by plain HTTP.

No client library: the protocol is JSON over HTTP, and tests need a dozen of its commands. Selenium
would bring ten packages, of which trio changes how hypothesis is loaded.
"""

import base64
import http.client
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""Key of an element in JSON (WebDriver, section 12)."""

PATIENCE = 30.0
"""Longest time that anything is waited for [s]."""

OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    "--use-fake-device-for-media-stream",
    *("--autoplay-policy=no-user-gesture-required", "--force-color-profile=srgb"),
    "--host-resolver-rules=MAP rebound.test 127.0.0.1",
)


class Failed(Exception):
    """A command of WebDriver failed."""


class Browser:
    """A browser with one window, which ends with this object.

    Args:
        driver: path of `chromedriver`.
        profile: an empty folder.
        microphone: what its user says to pages that want one: `accept` or `deny`.
    """

    def __init__(self, driver: str, profile: Path, microphone: str = "accept") -> None:
        self._log = (profile / "driver.log").open("w")
        # Its sockets want a short path; what it leaves there goes with this object.
        self._temporary = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        self._driver = subprocess.Popen(
            [driver, "--port=0"],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | {"TMPDIR": self._temporary.name},
        )
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                self._port = int(found[1])
                break
        own = (
            f"--user-data-dir={profile / 'profile'}",
            f"--use-fake-ui-for-media-stream={microphone}",
        )
        arguments = [*OPTIONS, *own]
        wanted = {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
        }
        made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"
        self("POST", "/timeouts", {"script": 30000})

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.communicate()
            self._log.close()
            self._temporary.cleanup()

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=90)
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())["value"]
        connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise Failed(f"{answer['error']}: {answer['message'].splitlines()[0]}")
        return answer

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Send a command of this session."""
        return self._ask(method, self._session + path, body)

    def open(self, url: str) -> None:
        """Go to an address."""
        self("POST", "/url", {"url": url})

    def js(self, script: str, *values: Any) -> Any:
        """Run a script, `arguments` its values; promises are awaited."""
        return self("POST", "/execute/sync", {"script": script, "args": list(values)})

    def find(self, css: str) -> dict[str, str]:
        """Return the first element of a selector."""
        found: dict[str, str] = self("POST", "/element", {"using": "css selector", "value": css})
        return found

    def click(self, css: str) -> None:
        """Click on an element as a user does: where it can be seen."""
        self("POST", f"/element/{self.find(css)[ELEMENT]}/click", {})

    def type(self, css: str, text: str) -> None:
        """Type into an element; into one for files, paths with newlines between them."""
        self("POST", f"/element/{self.find(css)[ELEMENT]}/value", {"text": text})

    def keys(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        typed = {"type": "key", "id": "keyboard", "actions": actions}
        self("POST", "/actions", {"actions": [typed]})

    def text(self, css: str) -> str:
        """Return the visible text of an element."""
        found: str = self("GET", f"/element/{self.find(css)[ELEMENT]}/text")
        return found

    def wait(self, script: str, *values: Any, patience: float = PATIENCE) -> Any:
        """Wait until an expression is true, and return its value."""
        return until(lambda: self.js(f"return {script}", *values), script, patience)

    def size(self, width: int, height: int) -> None:
        """Set the size of the page, whatever the window's least width is."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=True,
        )  # fmt: skip

    def devtools(self, command: str, **values: Any) -> Any:
        """Send a command of Chromium's own protocol."""
        return self("POST", "/goog/cdp/execute", {"cmd": command, "params": values})

    def picture(self, path: Path, whole: bool = True) -> None:
        """Save a picture of the page, PNG."""
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Return what was logged since the last call: `performance` or `browser`."""
        found: list[dict[str, Any]] = self("POST", "/se/log", {"type": kind})
        return found

    def requested(self) -> list[str]:
        """Return the addresses that the page has asked for since the last look at its log."""
        events = [json.loads(one["message"])["message"] for one in self.log("performance")]
        sent = [one for one in events if one["method"] == "Network.requestWillBeSent"]
        return [one["params"]["request"]["url"] for one in sent]

    def windows(self) -> list[str]:
        """Return the handles of all tabs."""
        found: list[str] = self("GET", "/window/handles")
        return found

    def new_tab(self) -> str:
        """Open another tab, go to it, and return its handle."""
        made: str = self("POST", "/window/new", {"type": "tab"})["handle"]
        self.go_to(made)
        return made

    def go_to(self, handle: str) -> None:
        """Go to a tab."""
        self("POST", "/window", {"handle": handle})


def until(call: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until a call returns something true, and return that."""
    end = time.monotonic() + patience
    while not (value := call()):
        assert time.monotonic() < end, f"not within {patience:g} s: {what}"
        time.sleep(0.05)
    return value

"""What is heard of all that takes long: a bar on a terminal, a line a minute in a log."""

import contextlib
import logging
import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import vctool.progress
from vctool.progress import busy, progress, transfer

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = "from vctool.progress import progress; print(sum(progress(range(5), 'count')))"


def test_nothing_is_shown_but_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 80))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=end,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    )
    shown = b""
    os.set_blocking(terminal, False)
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(terminal, 4096):
            shown += piece
    assert done.stdout == b"10\n" and b"count: 100%" in shown and b"5/5" in shown


def test_in_a_log_there_is_a_line_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    now = [0.0]
    monkeypatch.setattr(vctool.progress.time, "monotonic", lambda: now[0])

    def slow(seconds: float) -> Iterator[int]:
        for item in range(6):
            yield item
            now[0] += seconds

    assert list(progress(slow(25), "count", 6)) == list(range(6))
    # after 75 s three are done, and two minutes after the beginning five
    assert caplog.messages == ["count: 3 of 6, 1m15s to go"]
    caplog.clear()
    list(progress(slow(70), "count"))
    assert caplog.messages == [f"count: {done}" for done in range(1, 6)]
    caplog.clear()
    list(progress(slow(1), "count", 6))
    assert not caplog.messages


def test_what_takes_long_is_said_and_that_it_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    with busy("reading"):
        pass
    assert not caplog.messages
    monkeypatch.setattr(vctool.progress, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(vctool.progress, "PACE_SECONDS", 0.05)
    with pytest.raises(ValueError, match="inside"), busy("reading"):
        time.sleep(0.3)
        raise ValueError("inside")
    assert caplog.messages[:2] == ["reading ...", "reading ... (0s so far)"]
    count = len(caplog.messages)
    time.sleep(0.15)
    assert len(caplog.messages) == count  # nothing after the end


def test_bytes_that_arrive_are_counted_from_those_that_are_there() -> None:
    with transfer("archive.zip", 10, 30) as bar:
        bar.update(5)
        assert (bar.n, bar.total) == (15, 30)

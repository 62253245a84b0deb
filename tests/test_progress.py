"""One bar for all that takes long: on a terminal alone."""

import contextlib
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from vctool.progress import progress, transfer

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


def test_bytes_that_arrive_are_counted_from_those_that_are_there() -> None:
    with transfer("archive.zip", 10, 30) as bar:
        bar.update(5)
        assert (bar.n, bar.total) == (15, 30)

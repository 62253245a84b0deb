"""Fetching, from a server on this machine that cuts, lies, stalls and refuses."""

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from vctool.acquisition import fetch as module
from vctool.acquisition.archive import Archive
from vctool.acquisition.fetch import Patience, fetch
from vctool.errors import DataError

BODY = random.Random(0).randbytes(300_000)
HURRIED = Patience(connect=2, silence=0.3, tries=3, progress=50_000, backoff=0.01, longest=0.05)


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture
def archive(server: Any) -> Archive:
    server.files["voices.zip"] = BODY
    return Archive(server.url("voices.zip"), "a test", len(BODY), sha256(BODY))


def unchecked(archive: Archive) -> Archive:
    return replace(archive, bytes=None, checksum=None)


def test_a_finished_download_is_never_fetched_again(
    server: Any, archive: Archive, tmp_path: Path
) -> None:
    path = fetch(archive, tmp_path / "new", HURRIED)
    assert path.read_bytes() == BODY
    assert sorted(file.name for file in path.parent.iterdir()) == ["voices.zip"]
    assert fetch(archive, tmp_path / "new", HURRIED) == path
    assert server.ranges == [None]


def test_progress_is_shown_with_rate_and_time_left(
    server: Any, archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script = ["cut"]
    fetch(archive, tmp_path, HURRIED)
    said = capsys.readouterr().err
    assert re.search(r"voices\.zip: +50%.* 150k/300k \[.*<.*B/s\]", said), said


def test_a_file_of_this_name_with_other_bytes_is_not_used_nor_replaced(
    server: Any, archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "voices.zip").write_bytes(bytes(len(BODY)))
    with pytest.raises(DataError, match=r"has the sha256 checksum .*; delete it to fetch it again"):
        fetch(archive, tmp_path, HURRIED)
    assert server.ranges == []


def test_a_cut_connection_is_continued_where_it_broke(
    server: Any, archive: Archive, tmp_path: Path
) -> None:
    server.script = ["cut", "cut"]
    for one in (archive, replace(unchecked(archive), name="unchecked.zip")):
        server.ranges.clear()
        assert fetch(one, tmp_path, HURRIED).read_bytes() == BODY
        assert server.ranges == [None, "bytes=150000-", "bytes=225000-"]


class Case(NamedTuple):
    script: list[str]
    requests: int


@pytest.mark.parametrize(
    "case",
    [
        Case(["503"], 2),
        Case(["429 0", "503 0"], 3),
        Case(["stall"], 2),
        Case(["cut", "no ranges"], 2),
        Case(["cut", "other part"], 3),
        Case(["chunked"], 1),
        Case(["cut", "416"], 3),
        Case(["503", "503", "cut", "503"], 5),  # a try that brings enough begins a new row
    ],
    ids=str,
)
def test_what_passes_is_waited_for(
    case: Case, server: Any, archive: Archive, tmp_path: Path
) -> None:
    server.script = case.script
    assert fetch(archive, tmp_path, HURRIED).read_bytes() == BODY
    assert len(server.ranges) == case.requests


@pytest.mark.parametrize(
    ("how", "tries", "message"),
    [
        ("404", 1, "answers 404 Not Found"),
        ("403", 1, "answers 403 Forbidden"),
        ("503", 3, "answers 503 Service Unavailable .3 times in a row"),
        ("429 0", 3, "answers 429 Too Many Requests .3 times"),
        ("wrong", 1, "has the sha256 checksum"),
        ("says more", 1, "offers 301000 bytes, not the 300000 stated"),
        ("says less", 1, "offers 299000 bytes, not the 300000 stated"),
        ("page", 1, "a web page instead of the file"),
        ("redirect ftp://127.0.0.1/x", 1, "no http address"),
        ("redirect /voices.zip", 31, "redirects in a circle"),
    ],
)
def test_what_does_not_pass_is_given_up_for_the_next_mirror(
    how: str, tries: int, message: str, server: Any, archive: Archive, tmp_path: Path
) -> None:
    server.script = [how] * tries
    server.files["mirror/voices.zip"] = BODY
    alone = replace(archive, name="alone.zip")
    with pytest.raises(DataError, match=message) as caught:
        fetch(alone, tmp_path, HURRIED)
    assert "\n" not in str(caught.value) and str(tmp_path / "alone.zip") in str(caught.value)
    assert not (tmp_path / "alone.zip").exists()
    assert len(server.ranges) == tries
    server.ranges.clear()
    mirrored = replace(archive, mirrors=(server.url("mirror/voices.zip"),))
    assert fetch(mirrored, tmp_path, HURRIED).read_bytes() == BODY
    assert server.paths[-1] == "/mirror/voices.zip"


def test_a_redirect_is_followed_with_the_part_that_is_wanted(
    server: Any, archive: Archive, tmp_path: Path
) -> None:
    server.files["elsewhere"] = BODY
    server.script = ["cut", f"redirect {server.url('elsewhere')}"]
    assert fetch(archive, tmp_path, HURRIED).read_bytes() == BODY
    assert server.paths[-1] == "/elsewhere"
    assert server.ranges == [None, "bytes=150000-", "bytes=150000-"]


def test_a_length_that_is_too_great_is_settled_by_asking_for_the_rest(
    server: Any, archive: Archive, tmp_path: Path
) -> None:
    server.script = ["says more"]
    assert fetch(unchecked(archive), tmp_path, HURRIED).read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-"]


def test_a_server_that_sends_next_to_nothing_is_given_up(
    server: Any, archive: Archive, tmp_path: Path
) -> None:
    server.script = ["dribble"] * 3
    since = time.monotonic()
    with pytest.raises(DataError, match="next to nothing"):
        fetch(replace(archive, checksum=None), tmp_path, replace(HURRIED, progress=10**6))
    assert 0.5 < time.monotonic() - since < 8


def test_nobody_there_is_told_in_one_line(tmp_path: Path) -> None:
    archive = Archive("http://127.0.0.1:9/voices.zip", "a test")
    with pytest.raises(DataError, match=r"no connection .* run the command again") as caught:
        fetch(archive, tmp_path, HURRIED)
    assert "\n" not in str(caught.value)


def test_a_file_that_changed_meanwhile_is_not_mixed_with_its_old_version(
    server: Any, archive: Archive, tmp_path: Path
) -> None:
    server.script = ["cut", "404"]
    unknown = unchecked(archive)
    with pytest.raises(DataError):
        fetch(unknown, tmp_path, HURRIED)
    assert (tmp_path / "voices.zip.part").stat().st_size == 150_000
    server.files["voices.zip"], server.etag = BODY[::-1], '"two"'
    assert fetch(unknown, tmp_path, HURRIED).read_bytes() == BODY[::-1]


def test_a_wrong_part_from_before_costs_one_more_download(
    server: Any, archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "voices.zip.part").write_bytes(bytes(100_000))
    assert fetch(archive, tmp_path, HURRIED).read_bytes() == BODY
    assert server.ranges == ["bytes=100000-", None]


def test_the_retry_that_a_server_asks_for_is_honoured_within_bounds(
    server: Any, archive: Archive, tmp_path: Path
) -> None:
    patience = Patience(backoff=0.5, longest=60)
    assert [patience.wait(k, None) for k in (1, 2, 3, 9)] == [0.5, 1, 2, 60]
    assert patience.wait(1, 7.0) == 7 and patience.wait(1, 1e6) == 60
    server.script = ["503 1"]
    since = time.monotonic()
    fetch(archive, tmp_path, replace(HURRIED, longest=5))
    assert time.monotonic() - since >= 1


def test_a_full_disk_is_seen_before_the_first_byte(
    server: Any, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": module.RESERVE + len(BODY) - 1})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match=r"needs 300\.0 kB more, but 100\.3 MB are free"):
        fetch(archive, tmp_path, HURRIED)
    assert not (tmp_path / "voices.zip.part").exists()


@pytest.mark.parametrize(
    "broken",
    [
        {"checksum": "md5:1234"},
        {"checksum": "d41d8cd98f00b204e9800998ecf8427e"},
        {"name": "../x"},
        {"url": "http://x/"},
        {"into": "../x"},
        {"into": "/x"},
    ],
    ids=str,
)
def test_a_malformed_archive_cannot_be_made(broken: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="http://"):
        Archive(**{"url": "http://x/y.zip", "source": "a test", **broken})


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


CHILD = """
import sys
from pathlib import Path
from vctool.acquisition.archive import Archive
from vctool.acquisition.fetch import fetch
url, size, checksum, folder = sys.argv[1:]
fetch(Archive(url, "a test", int(size), checksum), Path(folder))
"""


def test_killed_ten_times_it_has_the_right_bytes_in_the_end(
    server: Any, archive: Archive, tmp_path: Path, root: Path
) -> None:
    server.pause = 0.04  # 37 pieces: a second and a half in all
    draw = random.Random(1)
    command = [sys.executable, "-c", CHILD, archive.url, str(archive.bytes)]
    command += [str(archive.checksum), str(tmp_path)]
    target, part = tmp_path / "voices.zip", tmp_path / "voices.zip.part"
    kept = resumed = 0
    for number in range(10):
        server.begun.clear()
        child = subprocess.Popen(
            command, cwd=root, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": ""}
        )
        until = time.monotonic() + 60
        # every fourth is killed as soon as it is answered, the others with something new
        while child.poll() is None and time.monotonic() < until:
            if server.begun.is_set() and (number % 4 == 0 or size_of(part) > kept):
                break
            time.sleep(0.002)
        time.sleep(draw.uniform(0.0, 0.12))
        child.send_signal(signal.SIGKILL)
        child.wait()
        if target.exists():  # it was faster
            assert target.read_bytes() == BODY
            target.unlink()
            kept = 0
            continue
        size = size_of(part)
        assert size >= kept, "what had arrived was thrown away"
        assert size == 0 or part.read_bytes() == BODY[:size]
        kept = size
        resumed += kept > 0
    assert resumed > 3
    server.pause = 0
    assert fetch(archive, tmp_path, HURRIED).read_bytes() == BODY
    if 0 < kept < len(BODY):
        assert server.ranges[-1] == f"bytes={kept}-"

"""Fetches one file over HTTP: resumed after any interruption, checked before it is used.

pooch, the usual downloader of this ecosystem, cannot continue a half-fetched file, nor wait, nor
turn to a mirror; this does, with the same `requests` below it and pooch's own checksums above it.
What has arrived lies in `<name>.part` beside the target, always a prefix of the file, so a killed
download loses nothing; the target's own name appears when size and checksum are right.
"""

import contextlib
import json
import logging
import os
import re
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vctool.acquisition.archive import Archive, human
from vctool.data.atomic import write_text
from vctool.errors import DataError
from vctool.progress import transfer

if TYPE_CHECKING:
    import requests

RESERVE = 100_000_000
"""Bytes of a disk that are kept free."""

_CHUNK = 1 << 16
_RANGE = re.compile(r"bytes (?:(?P<first>\d+)-\d+|\*)/(?P<total>\d+|\*)")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """Timeouts and retries."""

    connect: float = 15.0
    """Longest wait for a connection [s]."""
    silence: float = 30.0
    """Longest time without `least` bytes arriving [s]."""
    least: int = 1024
    """Minimum number of bytes in `silence`; fewer count as a stalled connection."""
    tries: int = 6
    """Consecutive failures after which an address is given up."""
    progress: int = 1 << 20
    """An attempt that receives this much resets the count of failures [bytes]."""
    backoff: float = 1.0
    """Wait after the first of consecutive failures; each further one doubles it [s]."""
    longest: float = 60.0
    """Longest wait, also where the server asks for a longer one [s]."""

    def wait(self, failures: int, asked: float | None) -> float:
        """Return how long to wait after consecutive failures, or as the server asks [s]."""
        own = self.backoff * 2.0 ** (failures - 1)
        return min(self.longest, max(own, asked or 0.0))


class _InterruptedError(Exception):
    """A failed attempt that is worth repeating."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _RefusedError(Exception):
    """An address that does not provide the file."""


class _Partial:
    """A partial download, and its version by the server's own validators (ETag, date)."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        self.url, self.validator = "", ""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            # a note that cannot be read only costs the check of the version
            noted = json.loads(self._note.read_text("utf-8"))
            self.url, self.validator = str(noted["url"]), str(noted["validator"])

    @property
    def size(self) -> int:
        """Number of bytes that have arrived."""
        return self.path.stat().st_size if self.path.exists() else 0

    def begin(self, url: str, validator: str) -> None:
        """Note where what is appended from now on comes from."""
        if (url, validator) != (self.url, self.validator):
            self.url, self.validator = url, validator
            write_text(self._note, json.dumps({"url": url, "validator": validator}) + "\n")

    def clear(self) -> None:
        """Delete the partial download."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self.url = self.validator = ""

    def finish(self, target: Path) -> None:
        """Give the file its name."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self.path, target)
        self._note.unlink(missing_ok=True)


def fetch(archive: Archive, folder: Path, patience: Patience | None = None) -> Path:
    """Fetch a file, continuing what an earlier call began. One process at a time.

    Args:
        archive: what to fetch; where it states size and checksum, both are verified.
        folder: where it goes, under the archive's file name.
        patience: how long servers are borne with.

    Returns:
        The file's path. A file that is there already is verified, not fetched.

    Raises:
        DataError: no address gives the right bytes, the disk is full, or a file of this name that
            was there has other bytes.
    """
    patience = patience or Patience()
    target = folder / archive.file
    if target.exists():
        if wrong := mismatch(target, archive):
            raise DataError(f"{target}: {wrong}; delete it to fetch it again")
        return target
    reasons = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for url in (archive.url, *archive.mirrors):
            try:
                _fetch_from(url, archive, target, patience)
                return target
            except _RefusedError as refusal:
                reasons.append(f"{url}: {refusal}")
                logger.warning("%s: %s", url, refusal)
    except OSError as error:
        raise DataError(f"{target}: cannot be written: {error.strerror or error}") from None
    raise DataError(
        f"{archive.file}: not fetched ({'; '.join(reasons)}); run the command again to continue, "
        f"or put the file at {target}"
    )


def mismatch(path: Path, archive: Archive) -> str:
    """Describe how a file differs from what its publisher states; empty if it does not."""
    import pooch

    size = path.stat().st_size
    if archive.bytes is not None and size != archive.bytes:
        return f"has {size} bytes, not the {archive.bytes} that its publisher states"
    if archive.checksum is None:
        return ""
    kind, _, wanted = archive.checksum.partition(":")
    found = pooch.file_hash(str(path), alg=kind)
    return "" if found == wanted else f"has the {kind} checksum {found}, not {wanted}"


def _fetch_from(url: str, archive: Archive, target: Path, patience: Patience) -> None:
    """Fetch a file from one address.

    Raises:
        _RefusedError: it does not give the file, or gives other bytes.
    """
    partial = _Partial(target)
    if partial.url != url and archive.checksum is None:
        partial.clear()  # nothing would tell a mixture of two versions
    mixed = partial.size > 0
    while True:
        mixed |= _persist(url, archive, partial, patience)
        wrong = mismatch(partial.path, archive)
        if not wrong:
            partial.finish(target)
            return
        partial.clear()
        if not mixed:
            raise _RefusedError(f"what it gives {wrong}")
        logger.warning("%s: %s; fetching it again in one piece", target.name, wrong)
        mixed = False


def _persist(url: str, archive: Archive, partial: _Partial, patience: Patience) -> bool:
    """Try until the last byte has arrived; return whether that took more than one response.

    Raises:
        _RefusedError: too many tries failed in a row, or another is of no use.
    """
    failures, total_failures = 0, 0
    while True:
        before = partial.size
        try:
            _receive(url, archive, partial, patience)
            return total_failures > 0
        except _InterruptedError as error:
            moved = partial.size - before
            failures = 1 if moved >= patience.progress else failures + 1
            total_failures += 1
            if failures >= patience.tries:
                raise _RefusedError(f"{error} ({failures} times in a row)") from None
            wait = patience.wait(failures, error.wait)
            logger.info("%s: %s; trying again in %.1f s", url, error, wait)
            time.sleep(wait)


def _receive(url: str, archive: Archive, partial: _Partial, patience: Patience) -> None:
    """Request the missing bytes once, and append the response.

    Raises:
        _InterruptedError: something is still missing.
        _RefusedError: another try is of no use.
        DataError: the disk has no room for it.
    """
    import requests
    import urllib3

    if archive.bytes is not None and partial.size > archive.bytes:
        partial.clear()
    have = partial.size
    if have and have == archive.bytes:
        return
    # compressed in transit, a part could not be continued
    headers = {"Accept-Encoding": "identity", "User-Agent": "vctool (corpus downloader)"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if partial.validator and partial.url == url:
            headers["If-Range"] = partial.validator
    times = (patience.connect, patience.silence)
    try:
        with requests.get(url, headers=headers, stream=True, timeout=times) as response:
            if response.status_code == 416 and _is_whole(response, archive, have):
                return
            total = _accept(url, response, archive, partial)
            _append(response, archive, partial, total, patience)
    except requests.TooManyRedirects:
        raise _RefusedError("it redirects in a circle") from None
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise _RefusedError(f"it is, or redirects to, no http address ({error})") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise _RefusedError(f"its certificate is not trusted ({error})") from None
        raise _InterruptedError(_cause(error)) from None


def _cause(error: BaseException) -> str:
    """Say in a few words what cut a connection."""
    text = str(error)
    if "timed out" in text.lower():
        return "the server fell silent"
    if "IncompleteRead" in text or "Connection broken" in text or "aborted" in text:
        return "the connection was cut"
    return f"no connection ({type(error).__name__})"


def _is_whole(response: "requests.Response", archive: Archive, have: int) -> bool:
    """Tell whether a refused range means that nothing is missing."""
    match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    total = match["total"] if match else "*"
    return bool(have) and archive.bytes in (None, have) and total == str(have)


def _accept(
    url: str, response: "requests.Response", archive: Archive, partial: _Partial
) -> int | None:
    """Check a response's status and headers, and prepare the partial file for its body.

    Returns:
        Size of the whole file as the server states it [bytes], or None.
    """
    status, have = response.status_code, partial.size
    if status in (408, 425, 429) or status >= 500:
        asked = _retry_after(response.headers.get("Retry-After", ""))
        raise _InterruptedError(f"the server answers {status} {response.reason}", asked)
    if status == 416:
        partial.clear()
        raise _InterruptedError("the server has another, shorter file; starting over")
    if status not in (200, 206):
        raise _RefusedError(f"the server answers {status} {response.reason}")
    kind = response.headers.get("Content-Type", "")
    if kind.startswith("text/html") and not archive.file.endswith((".html", ".htm")):
        raise _RefusedError("the server sends a web page instead of the file")
    etag = response.headers.get("ETag", "")
    validator = (
        etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
    )  # weak marks do not promise the same bytes
    total: int | None
    if status == 206:
        match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        changed = partial.url == url and partial.validator not in ("", validator)
        if match is None or match["first"] != str(have) or changed:
            partial.clear()
            raise _InterruptedError("the server sends another part; starting over")
        total = None if match["total"] == "*" else int(match["total"])
    else:
        if have:
            partial.clear()
            logger.info("%s: the server cannot continue; starting over", archive.file)
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
    if archive.bytes is not None and total not in (None, archive.bytes):
        raise _RefusedError(f"the server offers {total} bytes, not the {archive.bytes} stated")
    free = shutil.disk_usage(partial.path.parent).free
    missing = (total or archive.size or 0) - partial.size
    if missing + RESERVE > free:
        raise DataError(
            f"{partial.path}: needs {human(missing)} more, but {human(free)} are free there; make "
            "room, or link the folder to a larger disk"
        )
    partial.begin(url, validator)
    return total if total is not None else archive.bytes


def _append(
    response: "requests.Response",
    archive: Archive,
    partial: _Partial,
    total: int | None,
    patience: Patience,
) -> None:
    """Write a body behind what has arrived."""
    have = partial.size
    since, seen = time.monotonic(), 0
    with (
        partial.path.open("ab") as file,
        transfer(archive.file, have, total) as bar,
    ):
        while chunk := response.raw.read1(_CHUNK):
            have += len(chunk)
            if total is not None and have > total:
                raise _RefusedError(f"the server sends more than the {total} bytes stated")
            file.write(chunk)
            bar.update(len(chunk))
            seen += len(chunk)
            if time.monotonic() - since > patience.silence:
                if seen < patience.least:
                    raise _InterruptedError("the server sends next to nothing")
                since, seen = time.monotonic(), 0
    if total is not None and have < total:
        raise _InterruptedError(f"the connection was cut after {have} of {total} bytes")


def _retry_after(text: str) -> float | None:
    """Parse a Retry-After header, seconds or a date: return the wait [s]."""
    if text.isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())

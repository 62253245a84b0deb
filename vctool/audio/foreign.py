"""Recordings that libsndfile does not read, as phones and browsers write them: through ffmpeg.

The program `ffmpeg` decodes the first sound track of such a file into a temporary FLAC, once for
as long as the file stays the same. It is told which container it has before it, and may open
nothing else, so that no playlist in disguise makes it read other files or the network.
"""

import os
import shutil
import subprocess
import tempfile
import weakref
from functools import lru_cache
from pathlib import Path

from vctool.errors import AudioError

DEMUXERS = {
    ".m4a": "mov",
    ".mp4": "mov",
    ".3gp": "mov",
    ".webm": "matroska",
    ".mka": "matroska",
    ".aac": "aac",
    ".wma": "asf",
    ".amr": "amr",
}
"""What ffmpeg calls the containers of these endings."""

KEPT = 4
"""Decoded files that are kept at once."""


def available() -> bool:
    """Tell whether ffmpeg is installed."""
    return shutil.which("ffmpeg") is not None


def is_foreign(path: Path) -> bool:
    """Tell by a file's ending whether ffmpeg has to decode it."""
    return path.suffix.lower() in DEMUXERS


class Decoded:
    """A temporary file, which is deleted when nothing holds this object any more."""

    def __init__(self) -> None:
        handle, name = tempfile.mkstemp(prefix="vctool-", suffix=".flac")
        os.close(handle)
        self.path = Path(name)
        weakref.finalize(self, _delete, self.path, os.getpid())


def _delete(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # and not a process that was forked meanwhile
        path.unlink(missing_ok=True)


@lru_cache(maxsize=KEPT)
def decoded(path: Path, state: str | None) -> Decoded:
    """Decode a recording into a temporary FLAC.

    Args:
        path: the recording.
        state: of the file (`cache.state_of`), so that another one of its name is decoded anew.

    Raises:
        AudioError: ffmpeg is not installed, or cannot decode it.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise AudioError(
            f"{path}: {path.suffix} files are decoded by ffmpeg, which is not installed; install "
            "it (apt-get install ffmpeg), or export the recording as WAV"
        )
    made = Decoded()
    container = DEMUXERS[path.suffix.lower()]
    done = subprocess.run(
        [
            *(program, "-nostdin", "-hide_banner", "-loglevel", "error", "-y"),
            *("-protocol_whitelist", "file", "-f", container, "-i", f"file:{path.absolute()}"),
            *("-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1"),
            *("-c:a", "flac", "-sample_fmt", "s16", "-f", "flac", f"file:{made.path}"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = said[-1].rpartition(": ")[2].strip(" .") if said else f"status {done.returncode}"
        raise AudioError(f"{path}: ffmpeg cannot decode it ({reason}); export it as WAV")
    return made

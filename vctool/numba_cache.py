"""Give numba a folder for what it compiles, where its own ones cannot be written.

librosa compiles functions when it is imported. numba keeps them beside librosa or in the user's
cache, and raises an error where it may write to neither, as in a container that runs as somebody
else.
"""

import contextlib
import os
import stat
import tempfile
from importlib.util import find_spec
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
"""The environment variable that names numba's folder."""


def ensure_writable() -> None:
    """Name a folder that can be written, for this process and those that it starts.

    Call it before librosa or numba is imported, by whatever imports it. Nothing is changed where
    numba finds a folder by itself or the user has named one.
    """
    if not os.environ.get(VARIABLE) and not any(map(_is_writable, _own_folders())):
        with contextlib.suppress(OSError):  # nothing can be written at all, which numba reports
            os.environ[VARIABLE] = str(_private())


def _own_folders() -> list[Path]:
    """Return the folders that numba takes by itself."""
    spec = find_spec("librosa")
    packages = [] if spec is None else list(spec.submodule_search_locations or ())
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    own = [Path(package) / "core" / "__pycache__" for package in packages]
    # without a home the name stays as it is, and a folder called ~ would be made right here
    return own if cache.startswith("~") else [*own, Path(cache, "numba")]


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _private() -> Path:
    """Make a temporary folder that is only this user's, since numba runs what it finds there."""
    folder = Path(tempfile.gettempdir()) / f"vctool-numba-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if own else Path(tempfile.mkdtemp(prefix="vctool-numba-"))

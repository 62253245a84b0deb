"""Names of temporary files that are written beside their target and renamed when complete.

A process that is killed leaves its file behind; the next one that writes into the same folder on
the same machine removes it.
"""

import contextlib
import hashlib
import os
import platform
import re
from pathlib import Path

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_NAME = re.compile(rf"\.vctool-{_HOST}-(\d+)-[0-9a-f]{{10}}\.tmp")
_swept: set[Path] = set()


def beside(path: Path) -> Path:
    """Return a hidden name beside a path, short whatever the path's own name is."""
    folder = path.parent
    if folder not in _swept:
        _swept.add(folder)
        sweep(folder)
    mark = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:10]
    return folder / f".vctool-{_HOST}-{os.getpid()}-{mark}.tmp"


def sweep(folder: Path) -> None:
    """Remove temporary files that ended processes of this machine have left in a folder."""
    with contextlib.suppress(OSError):  # not there yet, or not ours to clean
        for entry in list(folder.iterdir()):
            found = _NAME.fullmatch(entry.name)
            if found and not _alive(int(found[1])):
                entry.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True

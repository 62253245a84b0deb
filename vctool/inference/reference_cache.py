"""References that were computed before, kept in the user's cache folder.

    $VCTOOL_CACHE/references/<key>.safetensors     ($XDG_CACHE_HOME/vctool or ~/.cache/vctool
                                                    where it is not set)

The key is a hash of the contents of a target's recordings, in order, and of all else that a
reference depends on: the model with its weights, its settings, and the versions of the analysis. A
cache only saves time: results are the same if it is deleted, or cannot be written.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from vctool.data import content
from vctool.data.atomic import write_bytes
from vctool.errors import VctoolError
from vctool.features.base import voice_kinds
from vctool.models.base import Reference, System

LIMIT = 2**30
"""Size [bytes] above which the references that were used longest ago are removed."""

DESCRIBES = ("family", "config", "context", "step", "digests")
"""Fields of a checkpoint's state that a reference depends on."""

logger = logging.getLogger(__name__)


def folder() -> Path | None:
    """Return where references are kept; None for a user without a home."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    named = os.environ.get("VCTOOL_CACHE")
    if not named and cache.startswith("~"):  # or a folder called ~ would be made right here
        return None
    return Path(named or Path(cache, "vctool")) / "references"


def key(recordings: Sequence[Path], system: System, state: Mapping[str, Any], block: int) -> str:
    """Hash all that a reference depends on: 32 hex digits.

    Args:
        recordings: the target's.
        system: the model.
        state: of its checkpoint.
        block: longest piece that is analysed at once [samples].
    """
    kinds, features = voice_kinds(system.reads(system.config)), system.context.features
    told = {
        "recordings": [content.digest(path) for path in recordings],
        "version": system.reference_version,
        "state": {field: state.get(field) for field in DESCRIBES},
        "kinds": {kind: features.hash8(kind) for kind in kinds},
        "block": block,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def kept(key: str, compute: Callable[[], Reference]) -> Reference:
    """Return a reference that was computed before, or compute and keep it."""
    where = folder()
    if where is None:
        return compute()
    path = where / f"{key}.safetensors"
    try:
        found: Reference = load_file(path)
        path.touch()  # it was used today
    except (OSError, SafetensorError):  # none, or one that is not whole
        found = compute()
        _keep(path, found)
    return found


def _keep(path: Path, reference: Reference) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, save(reference))
        _make_room(path.parent)
    except (OSError, VctoolError) as error:
        logger.info("%s: the target will be analysed again next time (%s)", path.parent, error)


def _make_room(where: Path) -> None:
    """Remove the references that were used longest ago, down to three quarters of the limit."""
    used = {path: path.stat() for path in where.glob("*.safetensors")}
    total = sum(one.st_size for one in used.values())
    if total <= LIMIT:
        return
    for path in sorted(used, key=lambda path: used[path].st_mtime_ns):
        path.unlink(missing_ok=True)
        total -= used[path].st_size
        if total <= 0.75 * LIMIT:
            return

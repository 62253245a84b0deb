"""Lists of the files that a stage writes: a stage removes only files on its list.

A file is listed before it is written.

    exp/<name>/stages/<stage>.files    one path per line, relative to the experiment's folder

A user's own files, beside the results or among them, stay. So do links: results may lie on another
disk, behind a link in the experiment's folder.
"""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from vctool.data import store
from vctool.data.atomic import write_text
from vctool.errors import DataError


def _list(exp: Path, stage: str) -> Path:
    return exp / "stages" / f"{stage}.files"


def noted(exp: Path, stage: str) -> set[Path]:
    """Return the paths on a stage's list, below the experiment's folder.

    Raises:
        DataError: the list names something that lies elsewhere.
    """
    path = _list(exp, stage)
    if not path.is_file():
        return set()
    lines = path.read_text("utf-8").splitlines()
    for line in lines:
        if not line or PurePosixPath(line).is_absolute() or ".." in PurePosixPath(line).parts:
            raise DataError(f"{path}: names '{line}', which no stage writes; delete this list")
    return {exp / line for line in lines}


def note(exp: Path, stage: str, paths: Iterable[Path]) -> None:
    """Add paths that a stage is about to write to its list.

    A file that already exists at one of these paths but is not on the list has unknown content. It
    is removed, so that it is never taken for a result.

    Args:
        exp: the experiment's folder.
        stage: name of the stage.
        paths: files, and folders of feature stores, all below `exp`.
    """
    known = noted(exp, stage)
    new = [path for path in paths if path not in known]
    if not new:
        return
    for path in new:
        if path.is_file():
            path.unlink()
    names = sorted(path.relative_to(exp).as_posix() for path in known.union(new))
    write_text(_list(exp, stage), "".join(f"{name}\n" for name in names))


def remove(exp: Path, stage: str) -> None:
    """Remove the files on a stage's list, and folders that this leaves empty.

    Raises:
        DataError: a folder that was a feature store holds something else now.
    """
    found = sorted(noted(exp, stage))
    folders = set()
    for path in found:
        if path.is_dir():
            store.clear(path)
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
            folders.add(path)
        else:
            path.unlink(missing_ok=True)
        folders.update(parent for parent in path.parents if exp in parent.parents)
    for folder in sorted(folders, reverse=True):  # the deepest first
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()
    _list(exp, stage).unlink(missing_ok=True)

"""One file per corpus: `INFO`, `find(downloads)` and `prepare(source, out)`.

The tree is the registry: every file here is a corpus of its own name. What some of them share lies
in the folders beside them, and how corpora come to a machine in `vctool.acquisition`.
"""

import importlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from vctool.config import suggest
from vctool.errors import ConfigError


def names() -> list[str]:
    """Name the corpora, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def get(name: str) -> ModuleType:
    """Import a corpus's module; see `vctool.acquisition.info.Corpus`.

    Raises:
        ConfigError: there is no such corpus; the nearest name is suggested.
    """
    if name not in names():
        raise ConfigError(f"corpus: no corpus '{name}'{suggest(name, names())}")
    return importlib.import_module(f"vctool.corpora.{name}")


def download(
    name: str, root: Path, subset: str | None = None, limit_hours: float | None = None
) -> Path:
    """Fetch a corpus, or build one that is built here; return what its `prepare` takes.

    Args:
        name: the corpus.
        root: folder of all corpora.
        subset: names of parts with commas between them, or `all`; the usual parts where not given.
        limit_hours: take the corpus's parts in their order as long as they stay within this [h].

    Raises:
        ConfigError: there is no such corpus or part.
        DataError: it lies behind a form and has not been brought, or cannot be fetched.
    """
    from vctool.acquisition.obtain import choose, obtain

    module = get(name)
    if hasattr(module, "download"):
        if subset is not None or limit_hours is not None:
            choose(replace(module.INFO, subsets=()), subset, limit_hours)  # refuses them
        built: Path = module.download(root)
        return built
    folder = root / module.INFO.folder
    if module.INFO.consent is None or not folder.is_dir():
        obtain(module.INFO, root, subset, limit_hours)
    found: Path = module.find(folder)
    return found


def require(names: Iterable[str], root: Path) -> None:
    """Check that corpora can be fetched or built, and have room together; nothing is fetched.

    Args:
        names: the corpora.
        root: folder of all corpora.

    Raises:
        DataError: one lies behind a form and has not been brought, or there is too little room.
    """
    from vctool.acquisition.obtain import Wanted, check_room, lacking

    wanted: dict[Path, Wanted] = {}
    for name in names:
        module = get(name)
        folder = root / module.INFO.folder
        if hasattr(module, "download"):
            continue
        if module.INFO.consent is not None and folder.is_dir():
            module.find(folder)
        elif archives := lacking(module.INFO, root):
            known = wanted[folder].archives if folder in wanted else ()  # of the same recordings
            every = list(dict.fromkeys([*known, *archives]))
            wanted[folder] = Wanted(module.INFO, every, folder)
    check_room(list(wanted.values()))

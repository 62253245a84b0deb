"""One file per corpus: `INFO`, `find(downloads)` and `prepare(source, out)`.

The tree is the registry: a file here that defines `INFO` is a corpus of its own name, found
without importing it. `from_wavs` prepares a user's own folder and is therefore no corpus.
"""

import importlib
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from vctool.config import suggest
from vctool.errors import ConfigError

_FOLDER = Path(__file__).parent
_INFO = re.compile(r"^INFO\b", re.MULTILINE)
_PREPARE = re.compile(r"^def prepare\(", re.MULTILINE)


def names() -> list[str]:
    """Name the corpora that can be prepared, sorted."""
    return _having(_INFO)


def get(name: str) -> ModuleType:
    """Import a corpus's module, or `from_wavs`; see `vctool.corpora.info.Corpus`.

    Raises:
        ConfigError: there is no such corpus; the nearest name is suggested.
    """
    if name not in _having(_PREPARE):
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
    from vctool.corpora.obtain import choose, obtain

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


def _having(pattern: re.Pattern[str]) -> list[str]:
    return sorted(
        path.stem for path in _FOLDER.glob("*.py") if pattern.search(path.read_text("utf-8"))
    )

"""One file per corpus: `download(root)`, `find(downloads)` and `prepare(source, out)`.

The tree is the registry: a file here that defines `INFO` is a corpus of its own name, found
without importing it. `from_wavs` prepares a user's own folder and is therefore no corpus.
"""

import importlib
import re
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


def _having(pattern: re.Pattern[str]) -> list[str]:
    return sorted(
        path.stem for path in _FOLDER.glob("*.py") if pattern.search(path.read_text("utf-8"))
    )

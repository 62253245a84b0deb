"""The model families: one folder each, found by its name.

What a family declares in its class `System` can be read here without importing it, which would
import torch: lists of models are made in a moment.
"""

import ast
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple


class Declared(NamedTuple):
    """What a family's `system.py` says in the body of its class `System`."""

    untrained: bool
    """See `base.System.untrained`."""
    takes_reference: bool
    """See `base.System.takes_reference`."""
    only_references: bool
    """See `base.System.only_references`."""
    settings: tuple[str, str] | None
    """Module and name of its `Config`; None where that is written in `system.py` itself."""


def names() -> list[str]:
    """Name the families: the folders of this package that hold a `system.py`."""
    found = (path for folder in __path__ for path in Path(folder).glob("*/system.py"))
    return sorted(path.parent.name for path in found)


def declared(name: str) -> Declared:
    """Read what a family declares, without importing it.

    Args:
        name: one of `names`.
    """
    paths = (Path(folder) / name / "system.py" for folder in __path__)
    return _declared(next(path for path in paths if path.is_file()))


@lru_cache
def _declared(path: Path) -> Declared:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    values: dict[str, ast.expr | None] = {}
    homes: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            homes |= {alias.asname or alias.name: node.module for alias in node.names}
        if isinstance(node, ast.ClassDef) and node.name == "System":
            for line in node.body:
                if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                    values[line.targets[0].id] = line.value
                elif isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                    values[line.target.id] = line.value

    def says(field: str) -> bool:
        value = values.get(field)
        return isinstance(value, ast.Constant) and value.value is True

    config = values.get("Config")
    settings = None
    if isinstance(config, ast.Name) and config.id in homes:
        settings = homes[config.id], config.id
    return Declared(says("untrained"), says("takes_reference"), says("only_references"), settings)

"""Read JSON files that a user or a crash may have changed, and check what kind each field is of."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

from vctool.config import clip


class Each(NamedTuple):
    """A mapping of names to values of one kind."""

    kind: "Kind"


Kind = type | tuple[type, ...] | Each
"""The kind of a field's value: `int`, `float` (any number), `str`, `dict`, or one of several."""

_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "a mapping",
    NoneType: "null",
}


def read_fields(
    path: Path, required: Mapping[str, Kind], optional: Mapping[str, Kind] | None = None
) -> dict[str, Any]:
    """Read a JSON file that holds a mapping, with more fields than these or not.

    Args:
        path: the file.
        required: the kinds of fields that must be there.
        optional: the kinds of fields that may be there.

    Raises:
        OSError: it cannot be read.
        ValueError: it is something else; the message says what, without the path.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    return check_fields(found, required, optional)


def check_fields(
    found: object, required: Mapping[str, Kind], optional: Mapping[str, Kind] | None = None
) -> dict[str, Any]:
    """Check a mapping that was read from JSON; see `read_fields`.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(found, dict):
        raise ValueError("holds no mapping")
    lacking = sorted(required.keys() - found.keys())
    if lacking:
        raise ValueError(f"lacks {', '.join(lacking)}")
    for field, kind in {**required, **(optional or {})}.items():
        if field in found and not _is(found[field], kind):
            raise ValueError(f"its {field} is {clip(repr(found[field]))}, not {_word(kind)}")
    return found


def _is(value: object, kind: Kind) -> bool:
    if isinstance(kind, Each):
        return isinstance(value, dict) and all(_is(one, kind.kind) for one in value.values())
    if isinstance(kind, tuple):
        return any(_is(value, one) for one in kind)
    if kind in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, int | float if kind is float else kind)


def _word(kind: Kind) -> str:
    if isinstance(kind, Each):
        return f"a mapping to {_word(kind.kind)}"
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join(_WORDS[one] for one in kinds)

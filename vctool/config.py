"""Configuration: frozen pydantic models over plain YAML, with errors that say where and what to do.

A YAML mapping may hold `base: other.yaml`, whose content it is laid over; where a mapping is
expected, a string is shorthand for `{base: string}`. Paths are looked up in the folder that the
command runs in, then among the `recipes/` and `conf/` that come with vctool.
"""

import difflib
import filecmp
import logging
import os
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from vctool import settings_yaml
from vctool.errors import ConfigError
from vctool.settings_yaml import DEEPEST, LONGEST, Plain, Tree

logger = logging.getLogger(__name__)

MOST_BASES = 8
"""Maximum depth of a chain of bases [files]."""

MOST_FILES = 100
"""Maximum number of files that one recipe is laid over."""

PACKAGE = Path(__file__).resolve().parent

PROJECT_ROOT = PACKAGE if (PACKAGE / "recipes").is_dir() else PACKAGE.parent
"""Folder of the `recipes/` and `conf/` that come with vctool; in a wheel, the package itself."""


class Config(BaseModel):
    """A frozen settings object that rejects unknown fields, infinity and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def settings_below(cls, name: str) -> type[BaseModel] | None:
        """Return the settings class of a field; None if it holds a plain value."""
        field = cls.model_fields.get(name)
        annotation = None if field is None else field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        return None


C = TypeVar("C", bound=BaseModel)


@dataclass(frozen=True)
class Origin:
    """Where a tree of settings came from, so that an error names the file or the option.

    All origins compare equal, so that settings are compared by their values alone.
    """

    file: str = field(compare=False)
    """The file, or another place to name in errors."""
    settings: tuple[str, ...] = field(default=(), compare=False)
    """The `--set` overrides that were laid over it."""
    within: str = field(default="", compare=False)
    """Dotted path of this tree within the whole recipe."""

    def of(self, field: str) -> str:
        """Name the source of a dotted field's value: its last override, or else the file."""
        for setting in reversed(self.settings):
            name = setting.partition("=")[0].strip()
            if f"{field}.".startswith(f"{name}.") or name.startswith(f"{field}."):
                return f"--set {clip(setting)}"
        return self.file

    def full(self, field: str) -> str:
        """Return a field's dotted path within the whole recipe."""
        return ".".join(filter(None, (self.within, field)))

    def below(self, field: str) -> "Origin":
        """Return the origin of the tree below one field."""
        return replace(self, within=self.full(field))


def find(path: Path | str, behind: tuple[Path, ...] = ()) -> Path:
    """Look up a file of `recipes/` or `conf/`: in the work folder, then in what comes with vctool.

    A file of the work folder hides one of the same name that comes with vctool, which is said once.

    Args:
        path: such as `conf/features/16k.yaml`; an absolute path is that file.
        behind: files, as resolved, that are skipped: those that name this as their base.

    Raises:
        ConfigError: there is no such file.
    """
    there = [one for one in (Path(path), PROJECT_ROOT / path) if os.path.exists(one)]
    found = [one for one in there if one.resolve() not in behind]
    if there and not found:
        through = " -> ".join(map(str, behind))
        raise ConfigError(f"{there[0]}: is its own base, through {through}")
    if not found:
        root = "" if Path(path).is_absolute() else f", here or in {PROJECT_ROOT}"
        raise ConfigError(f"{clip(str(path))}: no such file{root}")
    if len(found) == 2 and not os.path.samefile(*found):
        _say_hidden(*(one.absolute() for one in found))
    return found[0]


@cache
def _say_hidden(own: Path, shipped: Path) -> None:
    """Log once that a user's file is used in place of vctool's, unless they are the same."""
    if own.is_file() and shipped.is_file() and not filecmp.cmp(own, shipped, shallow=False):
        logger.warning(f"{own}: used in place of the one that comes with vctool")


def names(folder: str) -> list[str]:
    """List the YAML files of a folder such as `recipes`, in the order of `find`, each once."""
    paths = (path for root in (Path(), PROJECT_ROOT) for path in (root / folder).glob("*.yaml"))
    return sorted({path.stem for path in paths})


def read_yaml(path: Path) -> Tree:
    """Read one YAML mapping and lay it over the files that its `base:` entries name.

    Returns:
        A tree whose unquoted scalars are `Plain`, for `build`.

    Raises:
        ConfigError: the file is missing, is not YAML, is not a mapping, or is its own base.
    """
    return _Reader().read(path, ())


class _Reader:
    """Reads one file with all that it is laid over."""

    def __init__(self) -> None:
        self.files = 0

    def read(self, path: Path, above: tuple[Path, ...]) -> Tree:
        """Read a file; `above` are those that it is a base of, the nearest last."""
        self.files += 1
        if len(above) > MOST_BASES or self.files > MOST_FILES:
            raise ConfigError(
                f"{path}: is one base too many; {MOST_BASES} below one another and {MOST_FILES} "
                "in all are read"
            )
        try:
            if path.exists() and not path.is_file():
                raise ConfigError(f"{path}: is a folder or a device, not a YAML file")
            with path.open(encoding="utf-8") as file:
                tree = settings_yaml.read(file.read(LONGEST + 1))
        except FileNotFoundError:
            raise ConfigError(f"{path}: no such file") from None
        except OSError as error:
            raise ConfigError(f"{clip(str(path))}: cannot be read: {error.strerror}") from None
        except ValueError as error:  # neither UTF-8 nor YAML
            raise ConfigError(f"{clip(str(path))}: not readable as YAML: {error}") from None
        if not isinstance(tree, dict):
            raise ConfigError(f"{path}: expected `field: value` lines, not {clip(repr(tree))}")
        return self.expand(tree, path, (*above, path.resolve()))

    def expand(self, tree: Tree, path: Path, above: tuple[Path, ...]) -> Tree:
        """Resolve `base:` in this mapping and in every mapping below it."""
        own = {
            key: self.expand(value, path, above) if isinstance(value, dict) else value
            for key, value in tree.items()
            if key != "base"
        }
        if "base" not in tree:
            return own
        base = tree["base"]
        if not isinstance(base, str) or not base:
            raise ConfigError(f"{path}: base = {clip(repr(base))}: expected a YAML file's path")
        return merge(self.read(find(base, above), above), own)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Tree:
    """Lay one tree over another: mappings merge field by field, anything else is replaced.

    A string below a mapping is its base, whose other fields stay: `{base: string}`.
    """
    result = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), str):
            result[key] = {"base": result[key], **value}
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result


def override(tree: Tree, settings: Iterable[str]) -> Tree:
    """Apply `dotted.field=value` settings; values are YAML, so `1e-3` and `[1, 2]` work.

    Raises:
        ConfigError: a setting has no `=`, or its value is not YAML.
    """
    for setting in settings:
        field, equals, text = setting.partition("=")
        parts = field.strip().split(".")
        if not equals or not field.strip():
            raise ConfigError(
                f"--set {clip(setting)}: expected FIELD=VALUE, such as train.steps=1000"
            )
        if len(parts) > DEEPEST:
            raise ConfigError(f"--set {clip(setting)}: no field has {len(parts)} parts")
        try:
            value = settings_yaml.read(text)
        except ValueError as error:
            raise ConfigError(f"--set {clip(setting)}: value is not YAML: {error}") from None
        for part in reversed(parts):
            value = {part: value}
        tree = merge(tree, value)
    return tree


def build(model: type[C], tree: Mapping[str, Any], where: str | Origin) -> C:
    """Validate a tree against a settings class.

    An unquoted scalar is text if its field is text, so that a speaker may be called `0010` or `no`;
    otherwise it has its YAML 1.2 value.

    Args:
        model: the settings class.
        tree: what was read.
        where: the place to name in errors, such as `recipes/mini.yaml`.

    Raises:
        ConfigError: naming the field, its value, and the nearest field that exists.
    """
    origin = where if isinstance(where, Origin) else Origin(where)
    settled = _settle(tree, model, "", origin)
    try:
        return model.model_validate(settled)
    except ValidationError as error:
        raise ConfigError(_explain(model, error, origin)) from None


def _settle(value: Any, wanted: Any, field: str, origin: Origin) -> Any:
    """Replace every `Plain` of a tree by its text or its value, whichever its field takes."""
    if isinstance(value, Plain):
        if _wants_text(value, wanted):
            return str(value)
        try:
            return value.value
        except ValueError as error:
            place = f"{origin.of(origin.full(field))}: {origin.full(field)}"
            raise ConfigError(f"{place} = {clip(value)}: {error}") from None
    if isinstance(value, Mapping):
        return {
            key: _settle(child, _of_field(wanted, key), f"{field}.{key}".lstrip("."), origin)
            for key, child in value.items()
        }
    if isinstance(value, list | tuple):
        items = [
            _settle(child, _of_item(wanted, index), f"{field}.{index}", origin)
            for index, child in enumerate(value)
        ]
        return items if isinstance(value, list) else tuple(items)
    return value


def _choices(wanted: Any) -> list[Any]:
    """List the members of a union type, None included."""
    if get_origin(wanted) is Annotated:
        return _choices(get_args(wanted)[0])
    if get_origin(wanted) in (Union, types.UnionType):
        return [choice for part in get_args(wanted) for choice in _choices(part)]
    return [wanted]


def _wants_text(value: Plain, wanted: Any) -> bool:
    """Tell whether a field takes text only; `null` stays None where that is allowed."""
    choices = _choices(wanted)
    nothing = value.is_none and (not value or types.NoneType in choices)
    words = [get_args(one) if get_origin(one) is Literal else (one,) for one in choices]
    kinds = {word for some in words for word in some if not isinstance(word, str)}
    return not nothing and kinds <= {str, Path, types.NoneType}


def _of_field(wanted: Any, key: str) -> Any:
    """Return the type of one field of a mapping, or Any."""
    for choice in _choices(wanted):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            if issubclass(choice, Config) and (below := choice.settings_below(key)) is not None:
                return below
            named = (one for name, one in choice.model_fields.items() if key in (name, one.alias))
            return next((one.annotation for one in named), Any)
        if get_origin(choice) in (dict, Mapping):
            return get_args(choice)[1]
    return Any


def _of_item(wanted: Any, index: int) -> Any:
    """Return the type of one item of a list, or Any."""
    for choice in _choices(wanted):
        items = get_args(choice)
        if get_origin(choice) is list or items[1:] == (...,):
            return items[0]
        if get_origin(choice) is tuple and index < len(items):
            return items[index]
    return Any


def _explain(model: type[BaseModel], error: ValidationError, origin: Origin) -> str:
    first = error.errors(include_url=False)[0]
    field = origin.full(".".join(str(part) for part in first["loc"]))
    place = origin.of(field)
    if first["type"] == "missing":  # its input would be the whole surrounding mapping
        return f"{place}: {field} is missing"
    if first["type"] != "extra_forbidden":
        return f"{place}: {field} = {clip(repr(first['input']))}: {first['msg']}"
    owner = model
    for part in first["loc"][:-1]:
        below = owner.settings_below(str(part)) if issubclass(owner, Config) else None
        owner = model if below is None else below
    return f"{place}: no field '{clip(field)}'{suggest(str(first['loc'][-1]), owner.model_fields)}"


def clip(text: str) -> str:
    """Shorten a user's value to fit into a line of an error message."""
    return text if len(text) <= 100 else f"{text[:80]}... ({len(text)} characters)"


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or else a list of the known names."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; there are: {', '.join(names)}"

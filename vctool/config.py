"""Configuration: frozen pydantic models over plain YAML, with errors that say where and what to do.

A YAML mapping may hold `base: other.yaml`, whose content it is laid over; where a mapping is
expected, a string is shorthand for `{base: string}`. Paths are relative to the project root, which
is the folder that holds `recipes/` and `conf/`.
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from vctool.errors import ConfigError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds `recipes/`, `conf/` and `run.sh`."""

Tree = dict[str, Any]


class Config(BaseModel):
    """A frozen settings object that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def settings_below(cls, name: str) -> type[BaseModel] | None:
        """Return the settings class of a field; None where it holds a plain value."""
        field = cls.model_fields.get(name)
        annotation = None if field is None else field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        return None


C = TypeVar("C", bound=BaseModel)


def read_yaml(path: Path) -> Tree:
    """Read one YAML mapping and lay it over the files that its `base:` entries name.

    Raises:
        ConfigError: the file is missing, is not YAML, is not a mapping, or is its own base.
    """
    return _read(path, ())


def _read(path: Path, seen: tuple[Path, ...]) -> Tree:
    if path in seen:
        raise ConfigError(f"{path}: is its own base, through {' -> '.join(map(str, seen))}")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, not a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not readable as YAML: {reason}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: holds {type(tree).__name__}, expected `field: value` lines")
    return _expand(tree, (*seen, path))


def _expand(tree: Tree, seen: tuple[Path, ...]) -> Tree:
    """Resolve `base:` in this mapping and in every mapping below it."""
    own = {
        key: _expand(value, seen) if isinstance(value, dict) else value
        for key, value in tree.items()
        if key != "base"
    }
    if "base" not in tree:
        return own
    return merge(_read(PROJECT_ROOT / str(tree["base"]), seen), own)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Tree:
    """Lay one tree over another: mappings merge field by field, anything else is replaced."""
    result = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result


def override(tree: Tree, settings: Iterable[str]) -> Tree:
    """Apply `dotted.field=value` settings; values are read as YAML, so `1e-3` and `[1, 2]` work.

    Raises:
        ConfigError: a setting has no `=`, or its value is not YAML.
    """
    for setting in settings:
        field, equals, text = setting.partition("=")
        if not equals or not field.strip():
            raise ConfigError(f"--set {setting}: expected FIELD=VALUE, such as train.steps=1000")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            reason = " ".join(str(error).split())
            raise ConfigError(f"--set {setting}: value is not YAML: {reason}") from None
        for part in reversed(field.strip().split(".")):
            value = {part: value}
        tree = merge(tree, value)
    return tree


def build(model: type[C], tree: Mapping[str, Any], where: str) -> C:
    """Validate a tree against a settings class.

    Args:
        model: the settings class.
        tree: what was read.
        where: the place to name in errors, such as `recipes/mini.yaml`.

    Raises:
        ConfigError: naming the field, its value, and the nearest field that exists.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_explain(model, error)}") from None


def _explain(model: type[BaseModel], error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":  # its input would be all that is around it
        return f"{field} is missing"
    if first["type"] != "extra_forbidden":
        return f"{field} = {first['input']!r}: {first['msg']}"
    owner = model
    for part in first["loc"][:-1]:
        below = owner.settings_below(str(part)) if issubclass(owner, Config) else None
        owner = model if below is None else below
    return f"no field '{field}'{suggest(str(first['loc'][-1]), owner.model_fields)}"


def suggest(name: str, known: Iterable[str]) -> str:
    """Say `; did you mean 'x'?` or list what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; there are: {', '.join(names)}"

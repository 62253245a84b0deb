"""Conversion options of single families (`models.base.System.Options`).

They are given among the recordings, as `--amount 0.6`, `--amount=0.6`, `--whispered` or
`--no-whispered`. Options common to all families, such as `--stretch`, are in `GENERAL`.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from vctool.config import build, suggest
from vctool.errors import ConfigError

GENERAL = (
    *("accomp", "accomp-gain", "accomp-offset", "demo", "device", "dry", "force", "format", "json"),
    *("mix", "model", "out", "rate", "skip-existing", "stereo", "stretch", "to", "transpose"),
    *("vocal-gain", "vocoder"),
)
"""Options of `vctool convert` for every family."""


def split(
    words: Sequence[str], options: type[BaseModel], model: object
) -> tuple[list[str], dict[str, Any]]:
    """Separate recordings from a family's own options.

    Args:
        words: arguments as typed, without the options in `GENERAL`.
        options: the family's options.
        model: path of the model, for messages.

    Returns:
        The recordings, and the options' values by field, not yet validated.

    Raises:
        ConfigError: an option without a value, or one that the family does not have (the nearest
            name is suggested).
    """
    left, inputs, given = deque(words), list[str](), dict[str, Any]()
    while left:
        word = left.popleft()
        if not word.startswith("--"):
            inputs.append(word)
            continue
        typed, equals, text = word.partition("=")
        name = typed[2:].replace("-", "_")
        switched_off = name.removeprefix("no_")
        if name in options.model_fields and (equals or not _is_flag(options, name)):
            if not equals and not left:
                raise ConfigError(f"{typed}: expected a value, such as {typed}=0.5")
            given[name] = text if equals else left.popleft()
        elif _is_flag(options, name) and not equals:
            given[name] = True
        elif _is_flag(options, switched_off) and not equals:
            given[switched_off] = False
        else:
            raise unknown(name, options, model)
    return inputs, given


def checked(given: Mapping[str, Any] | None, options: type[BaseModel], model: object) -> BaseModel:
    """Validate a family's own options.

    Raises:
        ConfigError: an invalid value, or an option that the family does not have (the nearest
            name is suggested).
    """
    values = given or {}
    for name in values:
        if name not in options.model_fields:
            raise unknown(name, options, model)
    return build(options, values, f"{model}: options")


def unknown(name: str, options: type[BaseModel], model: object) -> ConfigError:
    """Return the error for an option that the family does not have."""
    there = [*GENERAL, *(field.replace("_", "-") for field in options.model_fields)]
    name = name.replace("_", "-")
    return ConfigError(
        f"--{name}: {model} has no such option{suggest(f'--{name}', [f'--{one}' for one in there])}"
    )


def _is_flag(options: type[BaseModel], name: str) -> bool:
    return name in options.model_fields and options.model_fields[name].annotation is bool

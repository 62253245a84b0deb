"""YAML for settings: keeps the text of unquoted scalars, and bounds the cost of reading.

YAML 1.1, which PyYAML reads, turns `0010` into 8, `1:30` into 90, `no` into False and `2024-01-02`
into a date, but speakers have such names. Here an unquoted scalar is a `Plain`: its text together
with its YAML 1.2 value. `vctool.config.build` takes one or the other, depending on the field's
type. Tags other than `!!str` are refused; so are texts that are too long, too deep or that expand
too many aliases.
"""

import math
import re
from collections.abc import Callable
from typing import Any, ClassVar

import yaml

Tree = dict[str, Any]

LONGEST = 128 * 1024
"""Longest text that is read [characters]."""

DEEPEST = 16
"""Maximum nesting depth of mappings and lists."""

MOST_VALUES = 20_000
"""Maximum number of values in one text, counted again at every alias."""

INTEGER = re.compile(r"[-+]?[0-9]+")
BASED = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
NONE = ("", "~", "null", "Null", "NULL")
TRUE = ("true", "True", "TRUE")
FALSE = ("false", "False", "FALSE")


class Plain(str):
    """A scalar without quotes: a string, its text."""

    __slots__ = ()

    @property
    def is_none(self) -> bool:
        """Whether it is null."""
        return self in NONE

    @property
    def value(self) -> bool | int | float | str | None:
        """Its value under YAML 1.2's core schema.

        >>> [Plain(text).value for text in ("1e3", "0010", "true", "no", "~", "0x10")]
        [1000.0, 10, True, 'no', None, 16]

        Raises:
            ValueError: an integer of more than 18 digits, which no setting means.
        """
        text = str(self)
        if self.is_none:
            return None
        if text in TRUE or text in FALSE:
            return text in TRUE
        if INTEGER.fullmatch(text) or BASED.fullmatch(text):
            if len(text) > 19:
                raise ValueError(f"a number of {len(text)} digits; at most 18")
            return int(text, 0 if BASED.fullmatch(text) else 10)
        if REAL.fullmatch(text):
            return float(text)
        if special := SPECIAL.fullmatch(text):
            return math.nan if special[3] else float(f"{special[1]}inf")
        return text


class _Loader(yaml.SafeLoader):
    """Keeps the text of plain scalars, takes keys as text, and stops at the bounds above."""

    # of the special unquoted texts, only `<<` (merge) is resolved here
    yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile("^<<$"))]}
    yaml_constructors: ClassVar[dict[Any, Callable[..., Any]]] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.size = self.depth = self.deepest = 0
        self.extents: dict[yaml.Node, tuple[int, int]] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose the next node, and record its number of values and its depth."""
        event = self.peek_event()
        size, deepest = self.size, self.deepest
        self.size += 1
        self.depth += 1
        self.deepest = self.depth
        self.check(event)
        node = super().compose_node(parent, index)
        if node is not None:
            if isinstance(event, yaml.AliasEvent):
                if node not in self.extents:
                    raise yaml.YAMLError(f"'*{event.anchor}' holds itself{event.start_mark}")
                self.size += self.extents[node][0]
                self.deepest += self.extents[node][1]
                self.check(event)
            elif isinstance(node, yaml.ScalarNode) and getattr(event, "tag", None) is not None:
                node.style = "'"  # `!!str 8` is as good as quotes
            self.extents.setdefault(node, (self.size - size, self.deepest - self.depth))
        self.depth -= 1
        self.deepest = max(deepest, self.deepest)
        return node

    def check(self, event: yaml.Event) -> None:
        """Check that the composed node is within the bounds."""
        if self.deepest > DEEPEST:
            raise yaml.YAMLError(f"more than {DEEPEST} levels{event.start_mark}")
        if self.size > MOST_VALUES:
            raise yaml.YAMLError(f"more than {MOST_VALUES} values{event.start_mark}")

    def scalar(self, node: yaml.ScalarNode) -> str:
        return Plain(node.value) if node.style is None else str(node.value)

    def sequence(self, node: yaml.SequenceNode) -> list[Any]:
        return [self.construct_object(child, deep=True) for child in node.value]

    def mapping(self, node: yaml.MappingNode) -> Tree:
        own: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.YAMLError(f"a field's name must be text{key.start_mark}")
            if key.value in own:
                raise yaml.YAMLError(f"field '{key.value}' stands there twice{key.start_mark}")
            own.add(key.value)
        self.flatten_mapping(node)
        return {
            str(key.value): self.construct_object(child, deep=True) for key, child in node.value
        }

    def unknown(self, node: yaml.Node) -> None:
        raise yaml.YAMLError(f"tag '{node.tag}' has no meaning here{node.start_mark}")


_Loader.yaml_constructors = {
    "tag:yaml.org,2002:str": _Loader.scalar,
    "tag:yaml.org,2002:seq": _Loader.sequence,
    "tag:yaml.org,2002:map": _Loader.mapping,
    None: _Loader.unknown,
}


class _Dumper(yaml.SafeDumper):
    """Writes a `Plain` as it was typed, and quotes other strings that would read as something."""

    def plain(self, text: Plain) -> yaml.Node:
        return yaml.ScalarNode(self.resolve(yaml.ScalarNode, text, (True, False)), str(text))


_Dumper.add_representer(Plain, _Dumper.plain)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(f"^({REAL.pattern})$"), list("-+.0123456789")
)


def read(text: str) -> Any:
    """Read YAML: mappings, lists, strings, and `Plain` where a scalar has no quotes.

    Returns:
        What the text holds; None where it holds nothing.

    Raises:
        ValueError: it is not YAML, or goes beyond one of the bounds above; in one line.
    """
    if len(text) > LONGEST:
        raise ValueError(f"longer than {LONGEST} characters")
    try:
        return _Loader(text).get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def write(tree: Tree) -> str:
    """Write a tree as YAML that `read` reads as the same."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)

"""Kaldi's tables: one `key value` a line, read leniently with every problem named.

A value that is a command pipe (`sox ... |`) is refused here, before anything could run it.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from vctool.errors import DataError


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a data dir."""

    file: str
    """Name of the table."""
    line: int | None
    """Line in it, from 1; None where the whole table is meant."""
    message: str
    """What is wrong, naming the key and the value."""
    harmless: bool = False
    """Whether reading copes with it: order, or a table that follows from the others."""

    def __str__(self) -> str:
        """Return `file:line: message`."""
        return ":".join([self.file, *([str(self.line)] if self.line else []), f" {self.message}"])


@dataclass
class Table:
    """One table: its rows in the order of the file, the line of each, and what is wrong."""

    name: str
    rows: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    exists: bool = True

    def complain(self, key: str | None, message: str, *, harmless: bool = False) -> None:
        """Note a problem of the row of a key, or of the whole table."""
        line = None if key is None else self.lines.get(key)
        self.problems.append(Problem(self.name, line, message, harmless))

    def drop(self, key: str, message: str) -> None:
        """Note a problem of a row and leave the row out."""
        self.complain(key, message)
        del self.rows[key]


BOM = b"\xef\xbb\xbf"
"""What editors on Windows put before the first line of a UTF-8 file."""

NAMED = {"utt2spk": "a speaker", "utt2domain": "a domain"}
"""Tables whose values are names as well, and what they name."""


def unfit(name: str) -> str:
    """Return why a name cannot be an id; nothing where it can.

    Files are called after ids, so an id must not lead out of the folder that it is used in.
    """
    if not name or name.split() != [name]:
        return "it must hold no blanks"
    if any(sign < " " or sign == "\x7f" for sign in name):
        return "it holds a control character"
    if name.startswith("/") or {"", ".", ".."} & set(name.split("/")):
        return "a file of that name would lie in another folder"
    return ""


def is_pipe(value: str) -> bool:
    """Tell whether Kaldi's tools would run a value as a command."""
    parts = [part.strip() for part in value.split("\t")]
    return any(part.startswith("|") or part.endswith("|") for part in parts)


def read_table(folder: Path, name: str) -> Table:
    """Read one table of a data dir; rows with problems are left out and noted.

    Raises:
        DataError: the file is there but cannot be read at all.
    """
    table = Table(name)
    try:
        content = (folder / name).read_bytes()
    except FileNotFoundError:
        table.exists = False
        return table
    except OSError as error:
        raise DataError(f"{folder / name}: cannot be read: {error.strerror}") from None
    for number, raw in enumerate(content.removeprefix(BOM).split(b"\n"), 1):
        try:
            line = raw.decode("utf-8").rstrip("\r")
        except UnicodeDecodeError:
            table.problems.append(Problem(name, number, "is not UTF-8"))
            continue
        if line.strip(" \t"):
            _add_row(table, number, line)
    keys = list(table.rows)
    if keys != sorted(keys):
        table.complain(None, "is not sorted bytewise", harmless=True)
    return table


def _add_row(table: Table, number: int, line: str) -> None:
    key, *rest = re.split(r"[ \t]+", line.strip(" \t"), maxsplit=1)
    value = rest[0] if rest else ""
    problem = None
    if reason := unfit(key):
        problem = f"'{key}' cannot be an id: {reason}; rename it"
    elif table.name in NAMED and value and (reason := unfit(value)):
        problem = f"'{key}': '{value}' cannot be {NAMED[table.name]}: {reason}; rename it"
    elif not value and table.name != "text":
        problem = f"'{key}' has no value"
    elif key in table.rows:
        same = "" if table.rows[key] == value else f" with another value, '{value}'"
        problem = f"'{key}' stands twice (first in line {table.lines[key]}){same}"
    elif table.name.endswith(".scp") and is_pipe(value):
        problem = f"'{key}' is a command pipe, which is never run: '{value}'; name a file"
    if problem:
        table.problems.append(Problem(table.name, number, problem))
        return
    table.rows[key] = value
    table.lines[key] = number

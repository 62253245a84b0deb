"""Output of the commands: with colour and frames on a terminal, as plain lines elsewhere.

rich is imported only for a terminal, so that scripts do not pay for it.
"""

import json
import math
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from typer.core import TyperGroup


class Commands(TyperGroup):
    """A group of commands whose help lists them by panel, plain or drawn by rich."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Show the help if no command is given."""
        return super().parse_args(ctx, args or ["--help"])

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the plain list of commands, a section for each panel."""
        found = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        width = max(len(name) for name, _ in found)
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, command in found:
            panel = getattr(command, "rich_help_panel", None) or "Commands"
            short = command.get_short_help_str(formatter.width - width - 6)
            panels.setdefault(str(panel), []).append((name.ljust(width), short))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Collection[str] = (),
    styles: Mapping[str, str] | None = None,
) -> None:
    """Print a table: on a terminal fitted to its width, elsewhere one line per row, however long.

    Args:
        heads: of the C columns.
        rows: each of C cells.
        right: heads of columns that are aligned to the right.
        styles: rich's styles of cells with these contents, such as `{"stale": "yellow"}`.
    """
    laid = [[str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        from tabulate import tabulate

        alignments = ["right" if head in right else "left" for head in heads]
        # the heads as a row, since tabulate makes columns wider than the heads that it knows
        laid.insert(0, list(heads))
        print(tabulate(laid, tablefmt="plain", disable_numparse=True, colalign=alignments))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="bold")
    for head in heads:
        drawn.add_column(Text(head), justify="right" if head in right else "left")
    for row in laid:
        drawn.add_row(*[Text(cell, (styles or {}).get(cell, "")) for cell in row])
    Console().print(drawn)


def as_json(value: object) -> None:
    """Print a result for programs, as JSON; nothing else may be printed by that command.

    Numbers that are not finite, which JSON lacks, become null.
    """
    told = json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False, default=str)
    print(told)


def _finite(value: object) -> object:
    if isinstance(value, float):  # numpy's float64 too
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value


def complain(message: str) -> None:
    """Print why a command fails, without wrapping lines to the terminal's width."""
    if not sys.stderr.isatty():
        print(f"vctool: {message}", file=sys.stderr)
        return
    from rich.console import Console
    from rich.text import Text

    told = Text.assemble(("vctool: ", "bold red"), message)
    Console(stderr=True).print(told, soft_wrap=True)

"""`vctool compare` and `vctool scoreboard`: scores of several experiments side by side."""

from pathlib import Path
from typing import Annotated

import typer

from vctool.commands.options import CORES, RESULTS, Jobs, Json
from vctool.commands.terminal import as_json, table

app = typer.Typer()


@app.command(rich_help_panel=RESULTS)
def compare(
    first: Annotated[Path, typer.Argument(help="A scored experiment, or --out of evaluate.")],
    second: Annotated[Path, typer.Argument(help="Another, scored on the same recordings.")],
    json: Json = False,
) -> None:
    """Compare two scored systems, utterance by utterance."""
    from vctool.evaluation.page.compare import (
        HEADS,
        WHOLE_HEADS,
        compare,
        plain,
        preface,
        remarks,
        rows,
        whole_rows,
    )

    found = compare(first, second)
    if json:
        as_json({"a": str(first), "b": str(second), **plain(found)})
        return
    print(preface(first, second))
    table(HEADS, rows(found), right=("a", "b", "a - b", "p", "n"))
    if whole := whole_rows(found):
        table(WHOLE_HEADS, whole, right=("a", "b"))
    for remark in remarks(found, first, second):
        print(remark)


@app.command(rich_help_panel=RESULTS)
def scoreboard(
    experiments: Annotated[list[Path], typer.Argument(help="Folders that went through stage 5.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the results.")],
    source: Annotated[
        str | None, typer.Option("--source", help="Voice that was converted.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Voice that it was converted to.")
    ] = None,
    nj: Jobs = CORES,
) -> None:
    """Score several experiments on one pair of voices, in one table."""
    from vctool.evaluation.voices.scoreboard import run

    print(run(experiments, out, source, target, nj))

"""`vctool models`: list the models."""

from typing import Annotated

import typer

from vctool.commands.options import MODELS
from vctool.commands.terminal import as_json, table

app = typer.Typer()


@app.command(rich_help_panel=MODELS)
def models(
    json: Annotated[bool, typer.Option("--json", help="As JSON, with all that is known.")] = False,
) -> None:
    """List the models here, in $VCTOOL_MODELS and of vctool: what they convert, and how well."""
    from vctool.tools import models as tool

    listed = tool.inventory()
    if json:
        as_json([one.plain() for one in listed])
        return
    table(tool.HEADS, tool.rows(listed), right=("rate", "step", "MB"), styles={"yes": "green"})

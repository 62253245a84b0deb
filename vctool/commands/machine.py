"""`vctool doctor` and `vctool completion`: about this machine, and for its shells."""

from typing import Annotated, Literal

import typer

from vctool.commands.options import MACHINE, Json
from vctool.commands.terminal import as_json, table

app = typer.Typer()


@app.command(rich_help_panel=MACHINE)
def doctor(json: Json = False) -> None:
    """Check versions, torch, memory, disk, programs and models; 1 if something is to be mended."""
    from vctool.tools import doctor as tool

    checks = tool.run()
    if json:
        as_json(tool.plain(checks))
    else:
        styles = {tool.OK: "green", tool.NOTE: "cyan", tool.PROBLEM: "red"}
        table(tool.HEADS, tool.rows(checks), styles=styles)
    if not tool.healthy(checks):
        raise typer.Exit(1)


@app.command(rich_help_panel=MACHINE)
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="Of which shell.")],
) -> None:
    """Print what makes a shell complete commands, options, recipes, models and roles."""
    from typer.completion import get_completion_script

    print(get_completion_script(prog_name="vctool", complete_var=COMPLETE, shell=shell))


COMPLETE = "_VCTOOL_COMPLETE"
"""Environment variable by which a shell asks for completions."""

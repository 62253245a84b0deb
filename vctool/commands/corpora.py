"""`vctool corpora`: list the corpora."""

from typing import Annotated

import typer

from vctool.commands import complete
from vctool.commands.options import RECORDINGS, Json
from vctool.commands.terminal import as_json, table

app = typer.Typer()


@app.command(rich_help_panel=RECORDINGS)
def corpora(
    corpus: Annotated[
        str | None,
        typer.Argument(help="One corpus, in full.", autocompletion=complete.corpora),
    ] = None,
    json: Json = False,
) -> None:
    """List the corpora: hours, size, licence, and what is on this machine."""
    from vctool.tools import inventory

    if json:
        as_json(inventory.plain() if corpus is None else inventory.described(corpus))
        return
    if corpus is not None:
        print("\n".join(inventory.details(corpus)))
        return
    table(inventory.HEADS, inventory.rows(), styles={"prepared": "green", "fetched": "cyan"})

"""What corpora there are."""

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def corpora(
    corpus: Annotated[str | None, typer.Argument(help="One corpus, in full.")] = None,
) -> None:
    """List the corpora: hours, size, licence, and what is on this machine."""
    from vctool.tools import inventory

    print("\n".join(inventory.table() if corpus is None else inventory.details(corpus)))

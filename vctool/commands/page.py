"""`vctool app`: the page."""

import os
import sys
from typing import Annotated

import typer

from vctool.commands.options import MODELS

app = typer.Typer()


@app.command("app", rich_help_panel=MODELS)
def page(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Of 127.0.0.1; 0 takes a free one.")
    ] = 0,
    model: Annotated[
        str | None, typer.Option("--model", help="Chosen at first, by its name or path.")
    ] = None,
    max_mb: Annotated[
        int, typer.Option("--max-mb", min=1, max=4096, help="Largest recording that is taken.")
    ] = 300,
    opened: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open it in a browser; else where there is one."),
    ] = None,
) -> None:
    """Convert recordings on a page in your browser, on this machine alone."""
    from vctool.app.server import run

    def told(address: str) -> None:
        print(address, flush=True)
        print("vctool: the page is at this address, for you alone; Ctrl-C ends it", file=sys.stderr)

    run(port, model, max_mb, _has_screen() if opened is None else opened, told)


def _has_screen() -> bool:
    """Tell whether a browser with windows would open here, and not one in this terminal."""
    return sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))

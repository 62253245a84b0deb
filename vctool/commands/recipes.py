"""`vctool status` and `vctool show`: the stages and the fields of a recipe."""

from typing import Annotated

import typer

from vctool.commands.options import STAGES, RecipeName, Settings
from vctool.commands.terminal import table

app = typer.Typer()

_STYLES = {"done": "green", "running": "cyan", "stale": "yellow", "half done": "yellow"}
"""Colours of the states of a stage."""


@app.command(rich_help_panel=STAGES)
def status(recipe: RecipeName = "mini", settings: Settings = None) -> None:
    """Say which stages of a recipe are done, stale (and why) or half done."""
    from vctool.experiment import recipe as recipes
    from vctool.experiment import state

    loaded = recipes.load(recipe, settings or ())
    print(f"{recipe}: {loaded.exp}")
    rows = [
        (entry.number, entry.name, verdict.state, verdict.reason)
        for entry, verdict in state.survey(loaded)
    ]
    table(("#", "stage", "state", "reason"), rows, styles=_STYLES)


@app.command(rich_help_panel=STAGES)
def show(
    field: Annotated[str | None, typer.Argument(help="One field, such as train.steps.")] = None,
    recipe: RecipeName = "mini",
    settings: Settings = None,
) -> None:
    """Print a recipe as resolved, or one field of it."""
    from vctool.experiment import recipe as recipes

    print(recipes.show(recipes.load(recipe, settings or ()), field))

"""`vctool status` and `vctool show`: the stages and the fields of a recipe."""

from typing import Annotated

import typer

from vctool.commands.options import STAGES, Json, RecipeName, Settings
from vctool.commands.terminal import as_json, table

app = typer.Typer()

_STYLES = {"done": "green", "running": "cyan", "stale": "yellow", "half done": "yellow"}
"""Colours of the states of a stage."""


@app.command(rich_help_panel=STAGES)
def status(recipe: RecipeName = "mini", settings: Settings = None, json: Json = False) -> None:
    """Say which stages of a recipe are done, stale (and why) or half done."""
    from vctool.experiment import recipe as recipes
    from vctool.experiment import state

    loaded = recipes.load(recipe, settings or ())
    rows = [
        (entry.number, entry.name, verdict.state, verdict.reason)
        for entry, verdict in state.survey(loaded)
    ]
    if json:
        keys = ("number", "stage", "state", "reason")
        stages = [dict(zip(keys, row, strict=True)) for row in rows]
        as_json({"recipe": recipe, "experiment": str(loaded.exp), "stages": stages})
        return
    print(f"{recipe}: {loaded.exp}")
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

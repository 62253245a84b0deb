"""What a recipe says, and how far it is."""

from typing import Annotated

import typer

from vctool.commands.options import RecipeName, Settings

app = typer.Typer()


@app.command()
def status(recipe: RecipeName = "mini", settings: Settings = None) -> None:
    """Say which stages of a recipe are done, stale (and why) or half done."""
    from vctool.experiment import recipe as recipes
    from vctool.experiment import state

    loaded = recipes.load(recipe, settings or ())
    print(f"{recipe}: {loaded.exp}")
    for entry, verdict in state.survey(loaded):
        print(f"{entry.number} {entry.name:<11} {verdict.state:<10} {verdict.reason}".rstrip())


@app.command()
def show(
    field: Annotated[str | None, typer.Argument(help="One field, such as train.steps.")] = None,
    recipe: RecipeName = "mini",
    settings: Settings = None,
) -> None:
    """Print a recipe as resolved, or one field of it."""
    from vctool.experiment import recipe as recipes

    print(recipes.show(recipes.load(recipe, settings or ()), field))

"""`vctool train-timbre-judge`."""

from pathlib import Path
from typing import Annotated

import typer

from vctool.commands.options import MODELS

app = typer.Typer()


@app.command("train-timbre-judge", rich_help_panel=MODELS)
def train_timbre_judge(
    out: Annotated[Path, typer.Option("--out", help="The file to write, *.safetensors.")],
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            help="How, and by which prepared corpus of data/; else that of the weights that ship.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Another value, such as steps=100.")
    ] = None,
) -> None:
    """Train the network by which the task timbre tells instruments apart."""
    from vctool.tools import timbre_judge

    recipe = recipe or timbre_judge.RECIPE
    config = timbre_judge.load(recipe, settings or ())
    print(timbre_judge.run(config, out, recipe.as_posix()))
    print(f"written to {out}")

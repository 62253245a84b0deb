"""`vctool train-timbre-judge`."""

from pathlib import Path
from typing import Annotated

import typer

from vctool.commands.options import MODELS

app = typer.Typer()


@app.command("train-timbre-judge", rich_help_panel=MODELS)
def train_timbre_judge(
    corpus: Annotated[Path, typer.Argument(help="A prepared corpus, data/nottingham_gm.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write, *.safetensors.")],
    steps: Annotated[int, typer.Option("--steps", min=1, help="Batches.")] = 1500,
    seed: Annotated[int, typer.Option("--seed", help="Of weights and examples.")] = 0,
) -> None:
    """Train the network by which the task timbre tells instruments apart."""
    from vctool.tools import timbre_judge

    print(timbre_judge.run(corpus, out, steps, seed))
    print(f"written to {out}")

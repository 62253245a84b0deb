"""Options that several commands take."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from vctool.commands import complete

STAGES = "Stages of a recipe"
RECORDINGS = "Recordings"
MODELS = "Models"
RESULTS = "Results"
MACHINE = "This machine"
"""Panels of the help."""

Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster that does the work."),
]
VocoderName = Annotated[
    str | None,
    typer.Option("--vocoder", metavar="NAME|PATH", help="In place of the recipe's."),
]
Device = Literal["auto", "cpu", "cuda"]
RecipeOption = typer.Option(
    "--recipe", help="Name in recipes/, or a YAML file.", autocompletion=complete.recipes
)
RecipeName = Annotated[str, RecipeOption]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Any field; repeatable.")
]
Jobs = Annotated[int, typer.Option("--nj", min=1, help="Number of processes.")]
DeviceName = Annotated[Device, typer.Option("--device", help="Where networks run.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start over instead of continuing.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Downloads = Annotated[
    Path | None,
    typer.Option("--downloads", metavar="DIR", help="Existing copies of corpora; nothing fetched."),
]
AddSpeaker = Annotated[
    str | None,
    typer.Option(
        "--add-speaker",
        metavar="[CORPUS/]NAME",
        help="Add a voice to the recipe's trained experiment, which stays as it is; begins the "
        "experiment RECIPE+NAME.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="For programs: as JSON, and nothing else.")]
CORES = os.cpu_count() or 1

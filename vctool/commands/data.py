"""`vctool data`: what can be done to data dirs."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Check and mend data dirs.")


@app.command()
def check(folders: Annotated[list[Path], typer.Argument(help="Data dirs.")]) -> None:
    """Name every problem of data dirs; exit status 1 where there is any."""
    from vctool.data import datadir

    problems = [f"{folder}/{problem}" for folder in folders for problem in datadir.check(folder)]
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems in {len(folders)} data dirs")
    if problems:
        raise typer.Exit(1)


@app.command()
def fix(folders: Annotated[list[Path], typer.Argument(help="Data dirs.")]) -> None:
    """Sort tables and drop broken entries; the old tables go to .backup/."""
    from vctool.data import datadir

    for folder in folders:
        for line in datadir.fix(folder):
            print(f"{folder}/{line}")

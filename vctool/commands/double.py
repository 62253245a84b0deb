"""`vctool double`: second takes of recordings."""

from pathlib import Path
from typing import Annotated

import typer

from vctool.commands.options import MODELS

app = typer.Typer()


@app.command(rich_help_panel=MODELS)
def double(
    leads: Annotated[list[str], typer.Argument(help="Recordings of one voice, folders or globs.")],
    seed: Annotated[int, typer.Option("--seed", help="Another seed sings another take.")] = 1,
    takes: Annotated[int, typer.Option("--takes", help="Number of doubles of each lead.")] = 1,
    tight: Annotated[
        float,
        typer.Option("--tight", help="Pull to the lead's time at phrase starts, 0 to 1."),
    ] = 0.5,
    timing: Annotated[
        float | None, typer.Option("--timing", metavar="MS", help="Spread of the time, to 80 ms.")
    ] = None,
    pitch: Annotated[
        float | None, typer.Option("--pitch", metavar="CENTS", help="Spread of the pitch.")
    ] = None,
    timbre: Annotated[
        float, typer.Option("--timbre", help="Movement of tilt and formants; 0 is none.")
    ] = 1.0,
    level: Annotated[
        float | None, typer.Option("--level", metavar="DB", help="Spread of the level.")
    ] = None,
    at: Annotated[
        float, typer.Option("--at", metavar="S", help="Second of the lead to begin at.")
    ] = 0.0,
    mix: Annotated[
        bool, typer.Option("--mix", help="Write the lead with its doubles too, in stereo.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="Output file or folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing outputs.")] = False,
) -> None:
    """Sing recordings a second time: doubles that sound beside their leads as real takes do."""
    from vctool.commands.convert import importing

    with importing():
        from vctool.config import build
        from vctool.inference.double import DoubleSettings
        from vctool.inference.double_output import double_files

    given = {"timing": timing, "pitch": pitch, "level": level}
    values = {name: value for name, value in given.items() if value is not None}
    values |= {"seed": seed, "takes": takes, "tight": tight, "timbre": timbre}
    settings = build(DoubleSettings, values, "double")
    written = double_files(leads, settings=settings, at=at, out=out, mix=mix, force=force)
    print("\n".join(map(str, written)))

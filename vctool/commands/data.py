"""`vctool data`: commands on data dirs."""

from pathlib import Path
from typing import Annotated

import typer

from vctool.commands.options import CORES, Jobs
from vctool.commands.terminal import Commands, table

app = typer.Typer(cls=Commands, help="Check, mend, show and exchange data dirs.")


@app.command()
def check(folders: Annotated[list[Path], typer.Argument(help="Data dirs.")]) -> None:
    """List every problem of data dirs, and recordings that two of them share.

    The exit status is 1 if there is any.
    """
    from vctool.data import content, datadir

    problems = [f"{folder}/{problem}" for folder in folders for problem in datadir.check(folder)]
    if len(folders) > 1 and not problems:
        problems = content.shared([datadir.DataDir.read(folder) for folder in folders])
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


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A data dir.")],
    plot: Annotated[
        Path | None, typer.Option("--plot", help="PNG to write; by default summary.png in it.")
    ] = None,
    nj: Jobs = CORES,
) -> None:
    """Print and plot amount, durations, levels and F0 of each voice."""
    from vctool.data.datadir import DataDir
    from vctool.tools import summary

    data = DataDir.read(folder)
    voices = summary.summarise(data, nj=nj)
    print(summary.total(data, voices))
    table(summary.HEADS, map(summary.row, voices), right=summary.HEADS[1:])
    print(summary.LEGEND)
    place = plot or folder / "summary.png"
    summary.draw(voices, place)
    print(f"plotted in {place}")


@app.command("export-lhotse")
def export_lhotse(
    folder: Annotated[Path, typer.Argument(help="A data dir.")],
    out: Annotated[Path, typer.Argument(help="Folder of the manifests.")],
) -> None:
    """Write lhotse's manifests of recordings and supervisions."""
    from vctool.data import lhotse_manifests
    from vctool.data.datadir import DataDir

    written = lhotse_manifests.export(DataDir.read(folder), out)
    print(f"wrote {written.recordings} and {written.supervisions.name}")


@app.command("import-lhotse")
def import_lhotse(
    recordings: Annotated[Path, typer.Argument(help="Recordings, .jsonl.gz or .jsonl.")],
    supervisions: Annotated[Path, typer.Argument(help="Supervisions, the same.")],
    folder: Annotated[Path, typer.Argument(help="Data dir to write.")],
    speaker: Annotated[
        str | None, typer.Option("--speaker", help="Speaker, where none is named.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing data dir.")] = False,
) -> None:
    """Make a data dir from lhotse's manifests; exit status 1 if it has problems."""
    from vctool.data import lhotse_manifests
    from vctool.data.datadir import check as check_folder
    from vctool.errors import DataError

    if (folder / "wav.scp").exists() and not force:
        raise DataError(f"{folder}: exists already; add --force or name another")
    data = lhotse_manifests.read(recordings, supervisions, folder, speaker=speaker)
    data.write()
    problems = check_folder(folder)
    print("\n".join([f"wrote {folder}: {len(data)} utterances", *map(str, problems)]))
    if problems:
        raise typer.Exit(1)

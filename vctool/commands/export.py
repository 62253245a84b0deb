"""`vctool export`: stage 7, and the same for any trained model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vctool.commands.options import STAGES, DryRun, Fresh, RecipeOption, Settings
from vctool.commands.stages import run_stage
from vctool.errors import ConfigError

if TYPE_CHECKING:
    from vctool.experiment.recipe import Recipe

app = typer.Typer()


@app.command(rich_help_panel=STAGES)
def export(
    experiment: Annotated[
        Path | None, typer.Argument(help="An experiment or checkpoint, in place of a recipe.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write; export/ in the experiment.")
    ] = None,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Measure CPU time and memory too; takes a minute.")
    ] = False,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="8-bit weights: refused, as sound would change with chunks."),
    ] = False,
    recipe: Annotated[str | None, RecipeOption] = None,
    settings: Settings = None,
    fresh: Fresh = False,
    dry_run: DryRun = False,
) -> None:
    """Write a model that runs in real time as ONNX, with a host in C (stage 7)."""
    if int8:
        raise ConfigError(
            "--int8: not written: 8-bit weights made speaker_autoencoder half as large (3.8 MB) "
            "and hardly faster, and what it sings changed by 0.7 % of the peak with the length of "
            "a chunk, where 0.0001 % is allowed; leave it out"
        )

    def work(loaded: "Recipe") -> None:
        from vctool.stages.export import run

        run(loaded, benchmark=benchmark)

    if experiment is None:
        if out is not None:
            raise ConfigError(f"--out {out}: name an experiment, as in vctool export exp/NAME")
        force = fresh or benchmark
        run_stage("export", recipe or "mini", settings, work, force=force, dry_run=dry_run)
        return
    if recipe or settings or fresh or dry_run:
        raise ConfigError(
            f"{experiment}: --recipe, --set, --fresh and --dry-run are for recipes; leave them "
            "out, or leave out the experiment"
        )
    from vctool.stages.export import export as write

    print(write(experiment, out, benchmark=benchmark))

"""The stages that `run.sh` numbers, each a command."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from vctool.commands.options import (
    CORES,
    STAGES,
    AddSpeaker,
    DeviceName,
    Downloads,
    DryRun,
    Fresh,
    Jobs,
    RecipeName,
    Scheduler,
    Settings,
)
from vctool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vctool.experiment.recipe import Recipe

app = typer.Typer()


def run_stage(
    name: str,
    recipe_name: str,
    settings: list[str] | None,
    work: "Callable[[Recipe], None]",
    *,
    force: bool = False,
    dry_run: bool = False,
    scheduler: str | None = None,
) -> None:
    """Load the recipe and run one of its stages, unless it is done."""
    import shlex

    from vctool import cluster
    from vctool.experiment import recipe, state

    def work_there() -> None:
        with cluster.use(scheduler):
            work(loaded)

    loaded = recipe.load(recipe_name, settings or ())
    options = ["--recipe", recipe_name]
    for setting in settings or ():
        options += ["--set", setting]
    state.run(
        loaded,
        name,
        work_there,
        force=force,
        dry_run=dry_run,
        options=shlex.join(options),
    )


@app.command(rich_help_panel=STAGES)
def download(
    corpus: Annotated[str | None, typer.Argument(help="One corpus, not a recipe's.")] = None,
    recipe: RecipeName = "mini",
    settings: Settings = None,
    downloads: Downloads = None,
    subset: Annotated[
        str | None, typer.Option("--subset", help="Parts of CORPUS, with commas; or all.")
    ] = None,
    limit_hours: Annotated[
        float | None,
        typer.Option("--limit-hours", help="Only parts of CORPUS within these hours."),
    ] = None,
    nj: Jobs = CORES,
    scheduler: Scheduler = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Prepare again; only what is new is decoded.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Fetch or build corpora and prepare their data dirs (stage 1)."""
    from vctool import cluster
    from vctool.stages import download as stage

    if corpus is not None:
        with cluster.use(scheduler):
            prepared = stage.prepare(
                corpus,
                downloads=downloads,
                nj=nj,
                fresh=fresh,
                subset=subset,
                limit_hours=limit_hours,
            )
        print(prepared.summary)
        return
    if subset is not None or limit_hours is not None:
        raise ConfigError("--subset, --limit-hours: name one corpus, as in vctool download CORPUS")
    run_stage(
        "download",
        recipe,
        settings,
        lambda loaded: stage.run(loaded, downloads=downloads, nj=nj, fresh=fresh),
        force=fresh or downloads is not None,  # it checks by itself whether these were used before
        dry_run=dry_run,
        scheduler=scheduler,
    )


@app.command(rich_help_panel=STAGES)
def features(
    recipe: RecipeName = "mini",
    settings: Settings = None,
    nj: Jobs = CORES,
    scheduler: Scheduler = None,
    fresh: Fresh = False,
    dry_run: DryRun = False,
) -> None:
    """Compute features and F0 statistics (stage 2)."""

    def work(loaded: "Recipe") -> None:
        from vctool.stages import features as stage

        stage.run(loaded, nj=nj, fresh=fresh)

    run_stage("features", recipe, settings, work, force=fresh, dry_run=dry_run, scheduler=scheduler)


@app.command(rich_help_panel=STAGES)
def train(
    recipe: RecipeName = "mini",
    settings: Settings = None,
    device: DeviceName = "auto",
    fresh: Fresh = False,
    dry_run: DryRun = False,
    add_speaker: AddSpeaker = None,
) -> None:
    """Train, or continue from the last checkpoint (stage 3)."""

    def work(loaded: "Recipe") -> None:
        from vctool.stages import train as stage

        stage.run(loaded, device=device, fresh=fresh)

    if add_speaker is not None:
        from vctool.tools.add_speaker import write_recipe

        recipe = write_recipe(recipe, settings or (), add_speaker, dry_run=dry_run)
        settings = None
        if dry_run:
            print(f"recipes/{recipe}.yaml: would be written, and stages 1 to 3 run with it")
            return
        if "RANK" not in os.environ:  # otherwise each of torchrun's processes would do so
            download(recipe=recipe)
            features(recipe=recipe)
    run_stage("train", recipe, settings, work, force=fresh, dry_run=dry_run)


@app.command(rich_help_panel=STAGES)
def infer(
    recipe: RecipeName = "mini",
    settings: Settings = None,
    device: DeviceName = "auto",
    nj: Jobs = CORES,
    scheduler: Scheduler = None,
    fresh: Fresh = False,
    dry_run: DryRun = False,
) -> None:
    """Convert held-out utterances (stage 4)."""

    def work(loaded: "Recipe") -> None:
        from vctool.stages import infer as stage

        stage.run(loaded, device=device, nj=nj)

    run_stage("infer", recipe, settings, work, force=fresh, dry_run=dry_run, scheduler=scheduler)


@app.command(rich_help_panel=STAGES)
def synthesize(
    recipe: RecipeName = "mini",
    settings: Settings = None,
    nj: Jobs = CORES,
    scheduler: Scheduler = None,
    fresh: Fresh = False,
    dry_run: DryRun = False,
) -> None:
    """Turn converted features into sound (stage 5)."""

    def work(loaded: "Recipe") -> None:
        from vctool.stages import synthesize as stage

        stage.run(loaded, nj=nj)

    run_stage(
        "synthesize", recipe, settings, work, force=fresh, dry_run=dry_run, scheduler=scheduler
    )

"""The command line: parse, call one function, print. Nothing heavy is imported before a body runs.

A user's mistake is one line on stderr and exit status 2; an interrupted command exits with 130.
"""

import errno
import gc
import logging
import os
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vctool.commands import data, prepare, scoreboard, vocoders
from vctool.commands.options import (
    CORES,
    AddSpeaker,
    DeviceName,
    Downloads,
    DryRun,
    Fresh,
    Jobs,
    RecipeName,
    RecipeOption,
    Scheduler,
    Settings,
    VocoderName,
)
from vctool.errors import ConfigError, VctoolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vctool.experiment.recipe import Recipe

app = typer.Typer(
    name="vctool",
    help="Unpaired conversion of voices: speech to singing, one speaker to another.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    # --stop_stage and --stop-stage are the same option, as Kaldi's users expect.
    context_settings={"token_normalize_func": lambda token: token.replace("_", "-")},
)
app.add_typer(prepare.app, name="prepare")
app.add_typer(data.app, name="data")
app.add_typer(vocoders.app)
app.add_typer(scoreboard.app)

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def main() -> None:
    """Run the command line and turn errors into one line and an exit status."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("vctool").setLevel(logging.DEBUG)
    logging.getLogger().handlers[0].setLevel(logging.INFO)
    # pyworld asks pkg_resources for its own version; the pinned setuptools still answers.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    # The same for worker processes, unless the user has wishes of his own.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:pkg_resources is deprecated:UserWarning")
    try:
        app()
    except VctoolError as error:
        print(f"vctool: {error}", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 2))
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        place = f"{error.filename}: " if error.filename else ""
        advice = "make room there, or allow writing to it"
        print(f"vctool: {place}cannot be written ({error.strerror}); {advice}", file=sys.stderr)
        sys.exit(2)


@contextmanager
def importing() -> "Iterator[None]":
    """Import without the garbage collector, which finds nothing in a growing heap of modules.

    Saves a sixth of the start of a command that needs torch. What is alive then stays so, and is
    not gone through again later.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _stage(
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


@app.command()
def download(
    corpus: Annotated[str | None, typer.Argument(help="One corpus, not a recipe's.")] = None,
    recipe: RecipeName = "mini",
    settings: Settings = None,
    downloads: Downloads = None,
    subset: Annotated[
        str | None, typer.Option("--subset", help="Parts of CORPUS, with commas; or all.")
    ] = None,
    limit_hours: Annotated[
        float | None, typer.Option("--limit-hours", help="Only parts of CORPUS within this [h].")
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
    _stage(
        "download",
        recipe,
        settings,
        lambda loaded: stage.run(loaded, downloads=downloads, nj=nj, fresh=fresh),
        force=fresh or downloads is not None,  # it knows itself whether these were used before
        dry_run=dry_run,
        scheduler=scheduler,
    )


@app.command()
def corpora(
    corpus: Annotated[str | None, typer.Argument(help="One corpus, in full.")] = None,
) -> None:
    """List the corpora: hours, size, licence, and what is on this machine."""
    from vctool.tools import inventory

    print("\n".join(inventory.table() if corpus is None else inventory.details(corpus)))


@app.command()
def features(
    recipe: RecipeName = "mini",
    settings: Settings = None,
    nj: Jobs = CORES,
    scheduler: Scheduler = None,
    dry_run: DryRun = False,
) -> None:
    """Compute features and F0 statistics (stage 2)."""

    def work(loaded: "Recipe") -> None:
        from vctool.stages import features as stage

        stage.run(loaded, nj=nj)

    _stage("features", recipe, settings, work, dry_run=dry_run, scheduler=scheduler)


@app.command()
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
        if "RANK" not in os.environ:  # of torchrun's processes each would
            download(recipe=recipe)
            features(recipe=recipe)
    _stage("train", recipe, settings, work, force=fresh, dry_run=dry_run)


@app.command()
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

    _stage("infer", recipe, settings, work, force=fresh, dry_run=dry_run, scheduler=scheduler)


@app.command()
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

    _stage("synthesize", recipe, settings, work, force=fresh, dry_run=dry_run, scheduler=scheduler)


@app.command()
def evaluate(
    folder: Annotated[
        Path | None, typer.Argument(help="Recordings that any system converted; not a recipe's.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="Recordings of the target, for a folder.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--source", help="What was converted, for a folder.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Results of a folder; FOLDER/evaluation.")
    ] = None,
    unpaired: Annotated[
        bool, typer.Option("--unpaired", help="The reference holds other sentences.")
    ] = False,
    recipe: Annotated[str | None, RecipeOption] = None,
    settings: Settings = None,
    nj: Jobs = CORES,
    fresh: Fresh = False,
    dry_run: DryRun = False,
) -> None:
    """Score beside the anchors, plot, write RESULTS.md (stage 6, or any folder)."""

    def work(loaded: "Recipe") -> None:
        from vctool.stages import evaluate as stage

        stage.run(loaded, nj=nj)

    if folder is None and not (reference or source or out or unpaired):
        _stage("evaluate", recipe or "mini", settings, work, force=fresh, dry_run=dry_run)
        return
    from vctool.evaluation.voices import folders

    if folder is None or reference is None or source is None:
        raise folders.incomplete(folder, reference, source)
    if recipe or settings or fresh or dry_run:
        raise folders.mixed(folder)
    print(folders.run(folder, reference, source, out, unpaired=unpaired, nj=nj))


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


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A scored experiment, or --out of evaluate.")],
    second: Annotated[Path, typer.Argument(help="Another, scored on the same recordings.")],
) -> None:
    """Compare two scored systems, utterance by utterance."""
    from vctool.evaluation.page import compare as comparing

    print("\n".join(comparing.lines(comparing.compare(first, second), first, second)))


@app.command()
def convert(
    inputs: Annotated[list[str], typer.Argument(help="Recordings, folders or globs.")],
    accomp: Annotated[
        Path | None, typer.Option("--accomp", help="Accompaniment, looped or cut to the speech.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="Experiment or checkpoint; else the newest.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="Voice to turn into; or all.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Output file or folder.")] = None,
    mix: Annotated[bool, typer.Option("--mix", help="Write the mix too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing outputs.")] = False,
    stretch: Annotated[
        float | None, typer.Option("--stretch", help="Output length over input length.")
    ] = None,
    transpose: Annotated[float, typer.Option("--transpose", help="Semitones to shift by.")] = 0.0,
    rate: Annotated[str, typer.Option("--rate", help="model, input, or a rate in Hz.")] = "model",
    accomp_offset: Annotated[
        float, typer.Option("--accomp-offset", help="Second of the accompaniment to begin at.")
    ] = 0.0,
    device: DeviceName = "auto",
    vocoder: VocoderName = None,
) -> None:
    """Convert recordings with a trained model."""
    with importing():
        from vctool.inference.files import convert_files

    summary = convert_files(
        inputs,
        model=model,
        accomp=accomp,
        to=to,
        out=out,
        mix=mix,
        force=force,
        stretch=stretch,
        transpose=transpose,
        rate=rate,
        accomp_offset=accomp_offset,
        device=device,
        vocoder=vocoder,
    )
    print("\n".join(summary.lines()))
    if summary.exit_code:
        raise typer.Exit(summary.exit_code)

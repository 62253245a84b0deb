"""The command line: parse, call one function, print. Nothing heavy is imported before a body runs.

A user's mistake is one line on stderr and exit status 2; an interrupted command exits with 130.
"""

import errno
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vctool.commands import data
from vctool.errors import VctoolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vctool.recipe import Recipe

app = typer.Typer(
    name="vctool",
    help="Unpaired voice conversion: speech and an accompaniment in, singing out.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    # --stop_stage and --stop-stage are the same option, as Kaldi's users expect.
    context_settings={"token_normalize_func": lambda token: token.replace("_", "-")},
)
prepare_app = typer.Typer(no_args_is_help=True, help="Prepare your own recordings.")
app.add_typer(prepare_app, name="prepare")
app.add_typer(data.app, name="data")

Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster that does the work."),
]
Device = Literal["auto", "cpu", "cuda"]
Domain = Literal["speech", "singing"]
RecipeName = Annotated[str, typer.Option("--recipe", help="Name in recipes/, or a YAML file.")]
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
CORES = os.cpu_count() or 1
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

    from vctool import cluster, recipe
    from vctool.stages import state

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
            print(stage.prepare(corpus, downloads=downloads, nj=nj, fresh=fresh).summary)
        return
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
) -> None:
    """Train, or continue from the last checkpoint (stage 3)."""

    def work(loaded: "Recipe") -> None:
        from vctool.stages import train as stage

        stage.run(loaded, device=device, fresh=fresh)

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
    recipe: RecipeName = "mini",
    settings: Settings = None,
    nj: Jobs = CORES,
    fresh: Fresh = False,
    dry_run: DryRun = False,
) -> None:
    """Score beside the anchors, plot, write RESULTS.md (stage 6)."""

    def work(loaded: "Recipe") -> None:
        from vctool.stages import evaluate as stage

        stage.run(loaded, nj=nj)

    _stage("evaluate", recipe, settings, work, force=fresh, dry_run=dry_run)


@app.command()
def status(recipe: RecipeName = "mini", settings: Settings = None) -> None:
    """Say which stages of a recipe are done, stale (and why) or half done."""
    from vctool import recipe as recipes
    from vctool.stages import state

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
    from vctool import recipe as recipes

    print(recipes.show(recipes.load(recipe, settings or ()), field))


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A scored experiment, or --out of evaluate.")],
    second: Annotated[Path, typer.Argument(help="Another, scored on the same recordings.")],
) -> None:
    """Compare two scored systems, utterance by utterance."""
    from vctool.stages.scoring import compare as comparing

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
    to: Annotated[str | None, typer.Option("--to", help="Domain or speaker to turn into.")] = None,
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
) -> None:
    """Convert recordings with a trained model."""
    from vctool.stages.convert_files import convert_files

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
    )
    print("\n".join(summary.lines()))
    if summary.exit_code:
        raise typer.Exit(summary.exit_code)


@prepare_app.command("from-wavs")
def from_wavs(
    folder: Annotated[Path, typer.Argument(help="Holds <speaker>/**/*.{wav,flac,mp3,ogg}.")],
    name: Annotated[str, typer.Option("--name", help="Name of the corpus and of its recipe.")],
    domain: Annotated[
        Domain | None,
        typer.Option("--domain", help="To convert them to and from the other domain, say which."),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Speaker to convert from; the first.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Speaker to convert to; the next.")
    ] = None,
    accomp: Annotated[
        Path | None, typer.Option("--accomp", help="Accompaniments, matched by file name.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            help="Recipe to take everything else from; mini with --domain, else "
            "vcc2016_cyclegan_vc, which converts between the folder's speakers.",
        ),
    ] = None,
    nj: Jobs = CORES,
    scheduler: Scheduler = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what has this name.")] = False,
) -> None:
    """Prepare your own recordings and write recipes/NAME.yaml."""
    from vctool import cluster
    from vctool.stages.own_voices import prepare_own

    with cluster.use(scheduler):
        path = prepare_own(
            folder,
            name=name,
            domain=domain,
            source=source,
            target=target,
            accomp=accomp,
            base=recipe,
            force=force,
            nj=nj,
        )
    print(f"wrote data/{name} and {path}; train with ./run.sh --recipe {name}")

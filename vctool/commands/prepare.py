"""`vctool prepare`: your own recordings as a corpus with a recipe."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vctool.commands.options import CORES, Jobs, Scheduler
from vctool.commands.terminal import Commands

app = typer.Typer(cls=Commands, help="Prepare your own recordings.")

Domain = Literal["speech", "singing"]


@app.command("from-wavs")
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
            "vcc2016_cyclegan_vc for two speakers and vcc2016_vae_gan for more.",
        ),
    ] = None,
    nj: Jobs = CORES,
    scheduler: Scheduler = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what has this name.")] = False,
) -> None:
    """Prepare your own recordings and write recipes/NAME.yaml; of a single voice, only the data."""
    from vctool import cluster
    from vctool.acquisition.from_wavs import speakers
    from vctool.tools.own_voices import AMONG_SPEAKERS, prepare_own

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
    if path is None:
        (voice,) = speakers(folder)
        print(
            f"wrote data/{name}, one voice; add it to a trained model with vctool train "
            f"--recipe {AMONG_SPEAKERS} --add-speaker {name}/{voice}, or pass --domain for a recipe"
        )
        return
    print(f"wrote data/{name} and {path}; train with ./run.sh --recipe {name}")

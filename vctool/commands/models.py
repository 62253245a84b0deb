"""`vctool models` and `vctool pack`: list the models, and write one as a file."""

from pathlib import Path
from typing import Annotated

import typer

from vctool.commands import complete
from vctool.commands.options import MODELS, Json, Settings, VocoderName
from vctool.commands.terminal import as_json, table
from vctool.errors import ConfigError

app = typer.Typer()


@app.command(rich_help_panel=MODELS)
def models(
    model: Annotated[
        str | None,
        typer.Argument(help="One model, in full: name or path.", autocompletion=complete.models),
    ] = None,
    json: Json = False,
) -> None:
    """List the models here, in $VCTOOL_MODELS and of vctool: what they convert, and how well."""
    from vctool.tools import models as tool

    if model is not None:
        one = tool.named(model)
        if json:
            as_json(one.plain())
        else:
            print("\n".join(tool.details(one)))
        return
    listed = tool.inventory()
    if json:
        as_json([one.plain() for one in listed])
        return
    table(tool.HEADS, tool.rows(listed), right=("rate", "step", "MB"), styles={"yes": "green"})


@app.command(rich_help_panel=MODELS)
def pack(
    model: Annotated[
        Path,
        typer.Argument(
            help="An experiment or a checkpoint, or its name.", autocompletion=complete.models
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The file to write, *.vctool.")],
    bits: Annotated[int, typer.Option("--bits", help="32, or 16 for half the size.")] = 32,
    vocoder: VocoderName = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="PATH", help="Recordings of a voice, for knn_vc. Repeatable."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of that voice.")] = None,
    corpus: Annotated[
        str | None, typer.Option("--corpus", help="Corpus that the recordings are of.")
    ] = None,
    settings: Settings = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a model, or a voice for knn_vc, as one file with a card, to send and to keep."""
    from vctool.tools import pack as tool

    if to is None:
        if name or corpus or settings:
            raise ConfigError("--name, --corpus, --set: are for a voice; pass --to and recordings")
        told = tool.run(model, out, bits, vocoder, force)
    elif name is None:
        raise ConfigError("--to: what is the voice called? pass --name")
    elif vocoder is not None or bits != 32:
        raise ConfigError("--vocoder, --bits: are for a trained model, not for --to")
    else:
        told = tool.voice(str(model), to, name, out, corpus, settings or (), force=force)
    print("\n".join(told))

"""`vctool convert`: convert recordings with a trained model."""

import gc
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vctool.commands import complete
from vctool.commands.options import MODELS, DeviceName, Json, VocoderName
from vctool.commands.terminal import as_json
from vctool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer()


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


ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|PATH",
        help="Experiment, checkpoint or pack; else the newest that fits.",
        autocompletion=complete.models,
    ),
]
Transpose = Annotated[
    str,
    typer.Option(
        "--transpose",
        metavar="SEMITONES|auto",
        help="Semitones to shift the voice by, and not the accompaniment: 12 and -12 stay in "
        "its key; auto: whole octaves into the target's range, with models that find notes.",
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        metavar="ROLE|PATH",
        help="Voice of the model to turn into, or all; or recordings of any voice. Repeatable.",
        autocompletion=complete.roles,
    ),
]


# Options that are unknown here are passed to the model's family, which has its own.
@app.command(rich_help_panel=MODELS, context_settings={"ignore_unknown_options": True})
def convert(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Recordings, folders or globs; and options of the model's own."),
    ] = None,
    accomp: Annotated[
        Path | None, typer.Option("--accomp", help="Accompaniment, looped or cut to the speech.")
    ] = None,
    model: ModelName = None,
    to: Targets = None,
    out: Annotated[Path | None, typer.Option("--out", help="Output file or folder.")] = None,
    mix: Annotated[
        bool, typer.Option("--mix", help="Write the mix with the accompaniment too, in stereo.")
    ] = False,
    vocal_gain: Annotated[
        float | None,
        typer.Option("--vocal-gain", help="dB of the voice in the mix above the accompaniment's."),
    ] = None,
    accomp_gain: Annotated[
        float | None,
        typer.Option("--accomp-gain", help="dB of the accompaniment in the mix above its own."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing outputs.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave existing outputs, convert the others.")
    ] = False,
    stretch: Annotated[
        float | None,
        typer.Option("--stretch", help="Output length over input length; else the recipe's."),
    ] = None,
    transpose: Transpose = "0",
    dry: Annotated[
        float, typer.Option("--dry", help="Share of the recording in the output, 0 to 1.")
    ] = 0.0,
    stereo: Annotated[
        bool,
        typer.Option("--stereo", help="Restore left and right of stereo recordings, per band."),
    ] = False,
    rate: Annotated[str, typer.Option("--rate", help="model, input, or a rate in Hz.")] = "model",
    accomp_offset: Annotated[
        float, typer.Option("--accomp-offset", help="Second of the accompaniment to begin at.")
    ] = 0.0,
    device: DeviceName = "auto",
    vocoder: VocoderName = None,
    form: Annotated[
        Literal["wav", "flac"], typer.Option("--format", help="Of outputs that --out names not.")
    ] = "wav",
    demo: Annotated[
        bool, typer.Option("--demo", help="Convert a sentence that comes with vctool, two ways.")
    ] = False,
    json: Json = False,
) -> None:
    """Convert recordings with a trained model, or to the voice of other recordings."""
    with importing():
        from vctool.inference.demo import convert_demo
        from vctool.inference.files import convert_files
        from vctool.progress import Meter

    meter = Meter("convert")
    if demo:
        if inputs or model or to or accomp:
            raise ConfigError(
                "--demo: converts a sentence of its own; leave out recordings, --model, --to and "
                "--accomp, or leave out --demo"
            )
        common: dict[str, Any] = {"force": force, "skip_existing": skip_existing, "device": device}
        done = convert_demo(out, form=f".{form}", progress=meter, **common)
    else:
        done = [
            convert_files(
                inputs or (),
                model=model,
                accomp=accomp,
                to=to,
                out=out,
                mix=mix,
                vocal_gain=vocal_gain,
                accomp_gain=accomp_gain,
                force=force,
                skip_existing=skip_existing,
                stretch=stretch,
                transpose=transpose,
                dry=dry,
                stereo=stereo,
                rate=rate,
                accomp_offset=accomp_offset,
                device=device,
                vocoder=vocoder,
                form=f".{form}",
                progress=meter,
            )
        ]
    meter.close()
    if json:
        as_json([one.plain() for one in done] if demo else done[0].plain())
    else:
        print("\n".join(line for one in done for line in one.lines()))
    if status := max(one.exit_code for one in done):
        raise typer.Exit(status)

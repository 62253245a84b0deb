"""`vctool stream`: convert while someone speaks, or through pipes."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from vctool.commands.options import MODELS
from vctool.commands.terminal import table
from vctool.errors import ConfigError

app = typer.Typer()


@app.command(rich_help_panel=MODELS)
def stream(
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", help="An experiment, or what vctool export wrote; else the newest that fits."
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="ROLE|PATH", help="Voice of the model; else its last."),
    ] = None,
    double: Annotated[
        bool, typer.Option("--double", help="A second take of the same voice; needs no model.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the second take.")] = 1,
    inlet: Annotated[
        str | None, typer.Option("--input", metavar="DEV", help="Microphone; number or name.")
    ] = None,
    outlet: Annotated[
        str | None, typer.Option("--output", metavar="DEV", help="Loudspeakers; number or name.")
    ] = None,
    block: Annotated[
        int, typer.Option("--block", help="Samples that a device gives at once.")
    ] = 512,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read raw mono samples.")] = False,
    stdout: Annotated[bool, typer.Option("--stdout", help="Write raw mono samples.")] = False,
    form: Annotated[
        Literal["f32le", "s16le"], typer.Option("--format", help="Of the raw samples.")
    ] = "f32le",
    rate: Annotated[
        int | None, typer.Option("--rate", help="Of the raw samples or the double, in Hz.")
    ] = None,
    backend: Annotated[
        Literal["torch", "onnx"] | None, typer.Option("--backend", help="What runs the model.")
    ] = None,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="List microphones and loudspeakers.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Load everything, say how late it is, and end.")
    ] = False,
) -> None:
    """Convert in real time: from microphone to loudspeakers, or through pipes."""
    from vctool.experiment.places import EXPERIMENTS
    from vctool.inference import discover, live, pipes, realtime

    if list_devices:
        table(("number", "device", "in", "out", "rate", "default"), live.devices())
        return
    if double and model is not None:
        raise ConfigError("--model, --double: both given; pass --model EXP, or --double")
    if double and (to is not None or backend is not None):
        raise ConfigError("--to, --backend: are for --model; a second take has the lead's voice")
    if stdin != stdout:
        raise ConfigError("--stdin, --stdout: pass both, or neither for microphone and speakers")
    if stdin and (inlet or outlet):
        raise ConfigError("--input, --output: are for devices; leave them out with --stdin")
    wanted = None if rate is None else realtime.require_rate(rate)
    realtime.require_block(block, wanted)
    if double:
        chosen = realtime.double(wanted, seed)
    else:
        model = discover.streaming(EXPERIMENTS, to) if model is None else model
        chosen = realtime.model(model, to, backend)
    run = chosen.run
    realtime.require_block(block, wanted or run.rate)

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    tell(chosen.told)
    if stdin:
        gathered = pipes.gathering(run)
        tell(realtime.latency_line(run.rate, block=gathered, model=run.latency, queue=0, device=0))
        if not dry_run:
            try:
                pipes.pump(run, form, wanted or run.rate, 0, 1, tell)
            except BrokenPipeError:
                tell("--stdout: closed by its reader")
        return
    if wanted not in (None, run.rate):
        raise ConfigError(f"--rate {wanted}: {model} runs at {run.rate} Hz; leave it out")
    running = live.Live(run, block, tell)
    opened, line = live.open_stream(chosen, running, inlet, outlet)
    if dry_run:
        tell(line)
        opened.close()
        running.stop()
    else:
        live.play(opened, running, line, tell)

"""`vctool copy-synthesis` and `vctool package-vocoder`."""

from pathlib import Path
from typing import Annotated

import typer

from vctool.commands.options import CORES, MODELS, Jobs

app = typer.Typer()

FEATURES = Path("conf/features/16k_mel128.yaml")


@app.command("copy-synthesis", rich_help_panel=MODELS)
def copy_synthesis(
    recordings: Annotated[Path, typer.Argument(help="A data dir, or a folder of recordings.")],
    vocoder: Annotated[
        list[str] | None,
        typer.Option("--vocoder", help="Name, or path of a trained one; repeatable."),
    ] = None,
    features: Annotated[
        Path,
        typer.Option("--features", help="Features of vocoders without weights, a YAML file."),
    ] = FEATURES,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the results; exp/copy_NAME.")
    ] = None,
    most: Annotated[
        int, typer.Option("--max", min=2, help="Recordings that are scored, drawn from all.")
    ] = 60,
    nj: Jobs = CORES,
) -> None:
    """Score vocoders: recordings through each, beside the recordings."""
    from vctool.config import build, find, read_yaml
    from vctool.evaluation.vocoders.copy_synthesis import run
    from vctool.evaluation.vocoders.report import BASELINES
    from vctool.features.settings import FeatureConfig

    config = build(FeatureConfig, read_yaml(find(features)), str(features))
    place = recordings.resolve()
    folder = out or Path("exp") / "_".join(["copy", *place.parts[-2:]])
    names = list(dict.fromkeys(vocoder or BASELINES))
    print(run(recordings, names, config, folder, most=most, nj=nj))
    print(f"written to {folder}")


@app.command("package-vocoder", rich_help_panel=MODELS)
def package_vocoder(
    trained: Annotated[Path, typer.Argument(help="A vocoder's experiment, or one checkpoint.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write, *.safetensors.")],
    scores: Annotated[
        Path | None, typer.Option("--scores", help="--out of copy-synthesis; else stage 6's.")
    ] = None,
    row: Annotated[
        str | None, typer.Option("--row", help="The vocoder's row in these scores.")
    ] = None,
) -> None:
    """Write a trained vocoder as one small file with a model card."""
    from vctool.tools import package_vocoder as stage

    print(stage.run(trained, out, scores, row))

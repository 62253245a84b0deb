"""`vctool evaluate`: stage 6, and the same for folders of any system's recordings."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vctool.commands.options import CORES, STAGES, DryRun, Fresh, Jobs, RecipeOption, Settings
from vctool.commands.stages import run_stage
from vctool.errors import ConfigError
from vctool.evaluation.inputs import Input, inputs

if TYPE_CHECKING:
    from vctool.experiment.recipe import Recipe


def evaluate(
    folder: Annotated[
        Path | None, typer.Argument(help="Recordings that any system converted; not a recipe's.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help=f"How a folder is scored: {', '.join(inputs())}."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Results of a folder; FOLDER/evaluation.")
    ] = None,
    recipe: Annotated[str | None, RecipeOption] = None,
    settings: Settings = None,
    nj: Jobs = CORES,
    fresh: Fresh = False,
    dry_run: DryRun = False,
    **given: Path | bool | None,
) -> None:
    """Score beside the baselines, plot, write RESULTS.md (stage 6, or any folder)."""

    def work(loaded: "Recipe") -> None:
        from vctool.stages.evaluate import run

        run(loaded, nj=nj)

    of_folder = folder or task or out or any(given.values())
    if not of_folder:
        run_stage("evaluate", recipe or "mini", settings, work, force=fresh, dry_run=dry_run)
        return
    if recipe or settings or fresh or dry_run:
        raise ConfigError(
            f"{folder or 'a folder'}: --recipe, --set, --fresh and --dry-run are for experiments, "
            "whose task is evaluate.task of their recipe; leave them out, or leave out what is for "
            "a folder of recordings"
        )
    from vctool.evaluation.task import score_folder

    print(score_folder(folder, task, given, out, nj))


def _parameters(taken: Mapping[str, tuple[Input, ...]]) -> list[inspect.Parameter]:
    """Turn the inputs of all tasks into parameters of a command, each once."""
    helps: dict[str, dict[str, list[str]]] = {}
    known: dict[str, Input] = {}
    for name, those in taken.items():
        for one in those:
            known[one.name] = one
            helps.setdefault(one.name, {}).setdefault(one.help, []).append(name)
    found = []
    for name, one in known.items():
        told = [f"{text} ({', '.join(tasks)})" for text, tasks in helps[name].items()]
        option = typer.Option(one.option, help=" ".join(told))
        kind: Any = bool if one.flag else Path | None
        default = False if one.flag else None
        found.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=Annotated[kind, option],
            )
        )
    return found


def command() -> typer.Typer:
    """Make the command `evaluate` with the options of all tasks in the tree."""
    plain = inspect.signature(evaluate, eval_str=True).parameters.values()
    own = [one for one in plain if one.kind is not inspect.Parameter.VAR_KEYWORD]

    def evaluate_with_inputs(**values: Any) -> None:
        evaluate(**values)

    laid = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    signature = inspect.Signature([*laid[:2], *_parameters(inputs()), *laid[2:]])
    evaluate_with_inputs.__signature__ = signature  # type: ignore[attr-defined]
    app = typer.Typer()
    app.command("evaluate", help=evaluate.__doc__, rich_help_panel=STAGES)(evaluate_with_inputs)
    return app


app = command()

"""Whether a training may go on from a checkpoint: with the same model, data and settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vctool.engine.checkpoint import State, changed_fields, completed
from vctool.engine.settings import CHOICE_FIELDS, PACE_FIELDS
from vctool.errors import CheckpointError
from vctool.models.base import System

NAMED = 4
"""Most changes that an error lists; it counts the rest."""

OF_DATA = ("speakers", "domains")
"""Fields of the context that are measured on the training data."""


def require_same(folder: Path, state: State, own: State, system: System) -> None:
    """Check that a checkpoint is of the model that is to be trained, on the data that it was on.

    Args:
        folder: the checkpoint.
        state: its state.
        own: the state that a checkpoint of this training would have.
        system: the model.

    Raises:
        CheckpointError: it is not; the message lists the changes.
    """
    context = dict(completed(system.context, state["context"]))
    data = {field: _mapping(context.pop(field, None)) for field in OF_DATA}
    own_context = {field: value for field, value in own["context"].items() if field not in OF_DATA}
    changes = [
        *changed_fields({"family": state["family"]}, {"family": own["family"]}),
        *changed_fields(completed(system.config, state["config"]), own["config"], "config."),
        *changed_fields(context, own_context, "context."),
    ]
    if changes:
        raise CheckpointError(
            f"{folder}: was trained with other settings ({_list(changes)}); set them back, choose "
            "another name, or start over with --fresh"
        )
    voices = [
        name
        for field in OF_DATA
        for name in dict.fromkeys([*data[field], *own["context"][field]])
        if data[field].get(name) != own["context"][field].get(name)
    ]
    if voices:
        told = changed_data(state, own)
        told = told or [f"F0 statistics of {name}" for name in dict.fromkeys(voices)]
        raise CheckpointError(
            f"{folder}: the training data have changed since step {state['step']} ({_list(told)}), "
            "and one training is on the same data throughout: train a new model on these under "
            "another name (--set name=...), start over with --fresh, or put the recordings back"
        )


def require_work(folder: Path, step: int, steps: int, changes: Sequence[str]) -> None:
    """Refuse changed settings when no step is left to train with them.

    Args:
        folder: the checkpoint.
        step: its step.
        steps: the last step.
        changes: the settings that changed, as from `changed_fields`.

    Raises:
        CheckpointError: the model is fully trained with other settings.
    """
    pace = tuple(f"train.{field}: " for field in (*PACE_FIELDS, *CHOICE_FIELDS))
    decisive = [change for change in changes if not change.startswith(pace)]
    if step >= steps and decisive:
        raise CheckpointError(
            f"{folder}: is trained to step {step} with other settings ({_list(decisive)}), and no "
            "step is left to train with these: set them back, choose another name, or start over "
            "with --fresh"
        )


def changed_data(state: State, own: State) -> list[str]:
    """Describe how the training data of each role differ; nothing where they do not.

    Older checkpoints do not say what they were trained on.
    """
    told = []
    before: Mapping[str, Any] = state.get("data", {})
    for role, now in own["data"].items():
        was = before.get(role, now)
        if was.get("utterances") != now["utterances"]:
            told.append(f"{role}: {was.get('utterances')} utterances -> {now['utterances']}")
        elif was.get("content") != now["content"]:
            told.append(f"{role}: other recordings")
    return told


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _list(changes: Sequence[str]) -> str:
    more = f" and {len(changes) - NAMED} more" if len(changes) > NAMED else ""
    return "; ".join(changes[:NAMED]) + more

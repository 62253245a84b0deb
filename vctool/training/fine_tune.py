"""Fine-tune a vocoder on a conversion system's mels, with the original sound as the target.

A recipe with `fine_tune` replaces the mels of its training utterances by reconstructions: a trained
system converts each utterance to its own role. This keeps the timing, so the original sound is
still the right target, and the vocoder learns to synthesise from mels as smooth as converted ones.
Utterances that have none of the system's roles are left out.

    exp/<name>/reconstructed/<corpus>/<split>/mel/     a store, safe to kill and to rerun
"""

import hashlib
import json
import logging
from pathlib import Path

import torch

from vctool import checkpoints
from vctool.config import build
from vctool.data.datadir import DataDir
from vctool.data.store import FeatureStore, StoreWriter
from vctool.data.utterance import Utterance
from vctool.engine import checkpoint
from vctool.errors import CheckpointError, ConfigError, DataError
from vctool.experiment import hashes, plan
from vctool.experiment.recipe import FineTuneConfig, Recipe
from vctool.models.base import Condition, System, family
from vctool.progress import progress

KIND = "mel"
"""The kind that is replaced."""

logger = logging.getLogger(__name__)


def store(recipe: Recipe, corpus: str, split: str) -> Path:
    """Folder of the mels that replace a split's own."""
    return recipe.exp / "reconstructed" / corpus / split / KIND


def reconstruct(recipe: Recipe, splits: tuple[str, ...], device: torch.device) -> None:
    """Convert the utterances of a recipe's corpora to their own roles.

    Args:
        recipe: one with `fine_tune.mels_of`.
        splits: the splits.
        device: where the conversion runs.

    Raises:
        CheckpointError: that system has no checkpoint.
        ConfigError: that system writes no mel, reads what this recipe does not, or has other
            feature settings.
        DataError: no features, or no utterance has a role of that system.
    """
    assert recipe.maker is not None
    system, _ = checkpoint.load(recipe.maker, device)
    _require_fit(recipe, system)
    model = hashes.of_checkpoint(recipe.maker)
    for corpus in recipe.corpus.names:
        for split in splits:
            _reconstruct(recipe, system, corpus, split, model)


def _reconstruct(recipe: Recipe, system: System, corpus: str, split: str, model: str) -> None:
    """Write the store of one split, resuming where it was stopped."""
    data = DataDir.read(recipe.data(corpus, split), check=False)
    kinds = system.reads(system.config)
    stores = {
        kind: FeatureStore(recipe.dump(corpus, split, kind), recipe.features.of_kind(kind))
        for kind in kinds
    }
    known = [
        one
        for one in sorted(data.utterances, key=lambda one: one.id.encode())
        if _role(one, system) is not None and all(one.id in found for found in stores.values())
    ]
    if not known:
        raise DataError(
            f"{data.path}: no utterance plays a role of {recipe.maker} "
            f"({', '.join(system.context.roles)}); fine-tune on the corpus that it was trained on"
        )
    made_from = json.dumps([model, {kind: stores[kind].source for kind in sorted(stores)}])
    digest = hashlib.sha256(made_from.encode()).hexdigest()[:16]
    path, told = store(recipe, corpus, split), Condition(options=system.Options())
    with StoreWriter(path, KIND, recipe.features.of_kind(KIND), digest) as writer:
        left = [one for one in known if one.id not in writer.done]
        for one in progress(left, f"{corpus}/{split} as {recipe.maker} makes it"):
            role = _role(one, system)
            assert role is not None
            features = {kind: found[one.id] for kind, found in stores.items()}
            writer.write(one.id, system.convert(features, told, role)[KIND])
    logger.info("%s: %d of %d utterances", path, len(known), len(data.utterances))


def begin(system: System, recipe: Recipe) -> None:
    """Initialise a new system with the weights and buffers of the experiment it starts from.

    Raises:
        CheckpointError: no checkpoint there, or one of another family or of other sizes.
    """
    assert recipe.start is not None
    folder = checkpoints.find(recipe.start)
    state = checkpoints.read_state(folder)
    if state["family"] != recipe.family:
        raise CheckpointError(f"{folder}: is of the family {state['family']}, not {recipe.family}")
    where = f"{folder / checkpoints.STATE} config"
    known = build(family(recipe.family).Config, state["config"], where)
    before, now = (one.model_dump(mode="json") for one in (known, system.config))
    tensors = checkpoints.read_tensors(folder / checkpoints.MODEL)
    own = system.state_dict()
    if {name: one.shape for name, one in tensors.items()} != {n: t.shape for n, t in own.items()}:
        changes = checkpoint.changed_fields(before, now, "model.")
        raise CheckpointError(
            f"{folder}: has other networks than {recipe.name}, which starts from it "
            f"({'; '.join(changes[:4]) or 'another version'}); set model as it was"
        )
    system.load_state_dict(tensors)
    logger.info("%s: starts from %s", recipe.name, folder)


def require_start(recipe: Recipe) -> None:
    """Check that a recipe's last checkpoint, if any, started from the weights the recipe names.

    Raises:
        CheckpointError: it started from other weights.
    """
    folder = checkpoints.latest(recipe.exp / "checkpoints")
    if folder is None:
        return
    known = checkpoints.read_state(folder)["recipe"].get("fine_tune", {})
    stored = build(FineTuneConfig, known, f"{folder / checkpoints.STATE} fine_tune").start
    if stored != recipe.fine_tune.start:
        was, now = (one or "random weights" for one in (stored, recipe.fine_tune.start))
        raise CheckpointError(
            f"{folder}: training began with {was}, and fine_tune.start says {now}; set it back, "
            "choose another name, or start over with --fresh"
        )


def _require_fit(recipe: Recipe, system: System) -> None:
    """Check that a system's mels can replace a recipe's.

    Raises:
        ConfigError: they cannot.
    """
    kinds, own = system.reads(system.config), plan.kinds(recipe, "train")
    made = system.writes(system.config)
    where = f"recipe {recipe.name}: fine_tune.mels_of: {recipe.maker}"
    if KIND not in made:
        raise ConfigError(f"{where} writes {', '.join(made)} and no {KIND}; name one that does")
    lacking = [kind for kind in kinds if kind not in own]
    if lacking:
        raise ConfigError(f"{where} reads {', '.join(lacking)}, which {recipe.family} does not")
    theirs, ours = system.context.features, recipe.features
    for kind in dict.fromkeys((*kinds, KIND)):
        changes = checkpoint.changed_fields(theirs.of_kind(kind), ours.of_kind(kind), "features.")
        if changes:
            raise ConfigError(f"{where} has other {kind} settings ({'; '.join(changes[:4])})")


def _role(utterance: Utterance, system: System) -> str | None:
    """Return the role that an utterance has in a system, or None."""
    for name in (utterance.speaker, utterance.domain):
        if name in system.context.roles:
            return name
    return None

"""`vctool pack`: write a model as one file that can be sent, kept, and converted with anywhere.

The file (`vctool.packs`) holds what converting needs: the tensors without the discriminators', the
settings, and the vocoder where that has weights. Its card says what the model was trained on and
under which terms, how it scored, and what it is not for. As with `package-vocoder`, a model is not
packed if the licence of a training corpus restricts the use of what is made from it.

A family that needs no training is packed with a voice: frames of recordings, from which these
cannot be played.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vctool import audio, checkpoints, packs, vocoders
from vctool.checkpoints import State
from vctool.config import build, override
from vctool.data.atomic import write_bytes
from vctool.engine import checkpoint
from vctool.errors import CheckpointError, ConfigError
from vctool.experiment import places, terms
from vctool.experiment.recipe import PLAIN_NAME
from vctool.features.base import voice_kinds
from vctool.features.settings import FeatureConfig
from vctool.inference import reference, untrained
from vctool.inference.converter import Converter
from vctool.inference.outputs import recordings
from vctool.models import base
from vctool.tools import models
from vctool.vocoders import stored
from vctool.vocoders.stored.restoring import Parts

SMALLEST = 1024
"""Numbers that a tensor of two or more axes must have to be stored in 16 bits: others hardly take
room, and biases and statistics may need more digits."""
KEPT = ("name", "corpus", "convert")
"""Parts of a recipe that a pack keeps; others may hold paths, and converting reads none of them."""


def run(
    model: Path,
    out: Path,
    bits: int = 32,
    vocoder: str | None = None,
    force: bool = False,
) -> list[str]:
    """Write a trained model as a pack.

    Args:
        model: an experiment, one of its checkpoints, or a model's name.
        out: the file, `*.vctool`.
        bits: 32, or 16 for half the size.
        vocoder: a name or a path, in place of that of the model's recipe.
        force: replace a file that exists.

    Returns:
        What was written, in some lines.

    Raises:
        ConfigError: it is a vocoder, its licence forbids sharing, or the name of `out` has another
            ending.
        CheckpointError: there is no checkpoint, or it is not readable.
    """
    _require_place(out, bits, force)
    path = places.locate(model)
    if untrained.is_one(path):
        raise ConfigError(f"{path} needs a voice: pass --to and recordings of it, and --name")
    folder = checkpoints.find(path)
    state = checkpoints.read_state(folder)
    if packs.is_pack(folder):
        raise ConfigError(f"{folder}: is a pack already; copy it")
    if state["family"] in vocoders.names():
        raise ConfigError(f"{path} is a vocoder; vctool package-vocoder {path} writes it")
    known = terms.of_model(folder, state)
    terms.require_free(known, folder)
    system, state = checkpoint.load(folder)
    experiment = folder.parent.parent
    name = str(state["recipe"].get("name", experiment.name))
    results = experiment / "results.json"
    return _write(system, state, name, known, out, bits, vocoder, results)


def voice(
    family: str,
    targets: Sequence[str],
    name: str,
    out: Path,
    corpus: str | None = None,
    settings: Sequence[str] = (),
    rate: int | None = None,
    force: bool = False,
) -> list[str]:
    """Write a voice for a family that needs no training.

    Args:
        family: the family.
        targets: files, folders or globs of the voice's recordings, taken in their order.
        name: what it is called; `--to` takes it.
        out: the file, `*.vctool`.
        corpus: the corpus that the recordings are of, whose terms go onto the card; one's own
            where None.
        settings: `FIELD=VALUE` of the family's config.
        rate: one of `untrained.RATES` [Hz]; the highest that all recordings have where None.
        force: replace a file that exists.

    Raises:
        ConfigError: no such family, name, field or corpus, or a licence that forbids sharing.
        AudioError: recordings that are missing or cannot be used.
    """
    _require_place(out, 32, force)
    if not untrained.is_one(family):
        ready = ", ".join(untrained.names())
        raise ConfigError(f"--to is for families that need no training ({ready}), not for {family}")
    if re.fullmatch(PLAIN_NAME, name) is None:
        raise ConfigError(f"--name {name}: letters, digits and . _ + - only, as it is a role's")
    known = [terms.of_corpus(corpus or name)]
    if corpus is not None and known[0].homepage == "":
        raise ConfigError(f"--corpus {corpus}: no such corpus; vctool corpora lists them")
    terms.require_free(known, out)
    files = [file for one in targets for file in recordings(one, f"--to {one}")]
    converter = Converter(family, "cpu", rate=rate or untrained.rate_of(files))
    context = converter.system.context.model_copy(update={"roles": (name,)})
    tree = untrained.settings(family).model_dump(mode="json")
    if "seconds" in tree:  # no more room than there is sound, and a frame more at each end
        held = sum(audio.info(file).seconds + 0.1 for file in files)
        tree["seconds"] = min(tree["seconds"], held)
    config = build(base.family(family).Config, override(tree, settings), "--set")
    system = base.family(family)(config, context).eval()
    with torch.no_grad():
        block = round(converter.settings.block_seconds * converter.rate)
        kinds = voice_kinds(converter.reads)
        system.setup({name: reference.heard(files, kinds, converter.features, block)})
    recipe = {"name": name, "convert": converter.state["recipe"].get("convert", {})}
    state = checkpoint.describe(system, family, 0, recipe=recipe, train={}, data={})
    return _write(system, state, name, known, out, 32, None, None)


def _require_place(out: Path, bits: int, force: bool) -> None:
    if out.suffix != packs.SUFFIX:
        raise ConfigError(f"--out {out}: end the name in {packs.SUFFIX}")
    if out.exists() and not force:
        raise ConfigError(f"--out {out}: exists already; pass --force to replace it")
    if bits not in (16, 32):
        raise ConfigError(f"--bits {bits}: must be 16 or 32")


def _write(
    system: base.System,
    state: State,
    name: str,
    known: list[terms.Terms],
    out: Path,
    bits: int,
    vocoder: str | None,
    results: Path | None,
) -> list[str]:
    """Write a system with its vocoder and its card."""
    features = system.context.features
    sounding = vocoder or system.context.vocoder
    vocoders.get(sounding, features).accepts(features, system.writes(system.config))
    parts, about = _vocoder(sounding, features)
    needed = checkpoint.converting(system)
    tensors = {
        name: tensor
        for name, tensor in checkpoint.writable(system.state_dict()).items()
        if name in needed
    }
    for key, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{name}: holds NaN or infinity in {key}; train it again")
    weights = {} if parts is None else dict(parts.weights)
    if bits == 16:
        tensors, weights = _halved(tensors, name), _halved(weights, sounding)
    context = state["context"] | {"vocoder": sounding if parts is None else parts.name}
    recipe = {key: value for key, value in state["recipe"].items() if key in KEPT}
    told = None
    if parts is not None:
        described = parts.features.model_dump(mode="json")
        told = {"name": parts.name, "config": dict(parts.config), "features": described}
    card = _card(system, state, name, [*known, *about], bits, results)
    content = packs.content(
        state | {"context": context, "recipe": recipe}, tensors, card, told, weights
    )
    write_bytes(out, content, durable=True)
    size = f"{len(content) / 1e6:.1f} MB"
    return [f"wrote {out} ({size}, {bits} bits); vctool models {out} shows its card"]


def _vocoder(name: str, features: FeatureConfig) -> tuple[Parts | None, list[terms.Terms]]:
    """Read a vocoder's weights, and the terms of what it was trained on; nothing if it has none.

    Raises:
        ConfigError: their licence forbids sharing, or their origin is not known.
    """
    files = vocoders.files(name, features)
    if not files:
        return None, []
    path = files["weights"]
    if path.name == checkpoints.MODEL and (path.parent / checkpoints.STATE).exists():
        known = terms.of_model(path.parent, checkpoints.read_state(path.parent))
        terms.require_free(known, path.parent)
    else:  # package-vocoder has asked for the terms of what it wrote
        card = path.with_suffix(".md")
        told = card.read_text("utf-8") if card.is_file() else ""
        listed = re.search(r"^## Trained on\n+((?:- .+\n)+)", told, re.M)
        if listed is None:
            raise ConfigError(
                f"vocoder {name}: no card beside {path} says what it was trained on, so its terms "
                "are not known; pass --vocoder and an experiment, or one that has a card"
            )
        lines = listed[1].replace("- ", "").splitlines()
        known = [terms.Terms(name, line, "", "", False) for line in lines]
    return stored.parts(path), known


def _halved(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Store large tensors in 16 bits.

    Raises:
        ConfigError: a number is too large for them.
    """
    found = dict(tensors)
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.dim() > 1 and tensor.numel() >= SMALLEST:
            found[key] = tensor.half()
            if not torch.isfinite(found[key]).all():
                raise ConfigError(f"{name}: {key} is too large for 16 bits; pass --bits 32")
    return found


def _card(
    system: base.System,
    state: State,
    name: str,
    known: list[terms.Terms],
    bits: int,
    results: Path | None,
) -> dict[str, Any]:
    """Say what a model was trained on and under which terms, how good it is, and its limits."""
    data = list(dict.fromkeys(one.line for one in known))
    headline = None if results is None else models.headline(results)
    roles = " and ".join(system.context.roles)
    anyone = type(system).untrained
    limits = [
        f"{system.context.features.rate / 1000:g} kHz; "
        + (f"anyone into {roles}" if anyone else f"between {roles}, as trained; others are worse"),
        "one voice at a time, without music",
        "do not imitate people who have not agreed to it",
        "if you use it, name the sources of its data, as their terms require",
    ]
    if bits == 16:
        limits.insert(1, "in 16 bits, which moves its output by less than 0.1 dB")
    return {
        "name": name,
        "data": data,
        "licence": ", ".join(dict.fromkeys(one.licence for one in known if one.licence)),
        "scores": [] if results is None else _scores(results),
        "headline": None if headline is None else asdict(headline),
        "limits": limits,
    }


def _scores(results: Path) -> list[str]:
    """Put the scores of stage 6 into lines, each beside its anchors; none where it has not run."""
    if not results.is_file():
        return []
    try:
        measures = json.loads(results.read_text("utf-8"))["measures"]
        return [
            f"{measure.replace('_', ' ')}: "
            + "; ".join(f"{row} {_number(score)}" for row, score in table.items())
            for measure, table in measures.items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{results}: not readable ({error}); run stage 6 again") from None


def _number(score: dict[str, Any]) -> str:
    value, low, high = (score.get(key) for key in ("value", "low", "high"))
    if value is None:
        return "-"
    return f"{value:.4g}" + ("" if low is None or high is None else f" ({low:.4g}..{high:.4g})")

"""What the worker with a model does: conversions, through the code of `vctool convert`.

Models stay loaded between conversions, the last `KEPT` of them, while their files are the same.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vctool import vocoders
from vctool.app.worker import Post
from vctool.cache import state_of
from vctool.checkpoints import STATE, find, read_state
from vctool.config import build
from vctool.errors import CheckpointError, ConfigError
from vctool.experiment.recipe import ConvertConfig
from vctool.features.settings import FeatureConfig
from vctool.inference import discover, files, untrained
from vctool.inference.converter import Converter
from vctool.vocoders import stored
from vctool.vocoders.stored import agreement

KEPT = 2
"""Number of models that stay loaded."""

MAP_STEP = 0.02
"""Distance of the knots of a time map that is given out [s]."""

BESIDE = ("describe",)
"""Questions that are answered beside a conversion in progress."""

_loaded: dict[tuple[object, ...], Converter] = {}


def answer(what: str, post: Post, **values: Any) -> Any:
    """Answer a question: `warm`, `describe` or `convert`."""
    if what == "warm":
        return None  # torch is imported by now
    return describe(**values) if what == "describe" else convert(post, **values)


def convert(
    post: Post,
    *,
    key: str,
    source: str,
    out: str,
    model: str,
    to: str | None,
    recordings: str | None,
    accomp: str | None,
    stretch: float | None,
    transpose: float,
    offset: float,
    vocoder: str | None,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Convert one recording, as `vctool convert` does.

    Args:
        post: is told progress: seconds done, and of all.
        key: of the conversion, by which it is cancelled.
        source: the recording.
        out: the output.
        model: as `--model`.
        to: a role, or None.
        recordings: a folder of the target's recordings, or None.
        accomp: the accompaniment, or None.
        stretch: as the option of this name, and so are the following.
        transpose: the same.
        offset: `--accomp-offset`.
        vocoder: the same.
        options: the family's own.

    Returns:
        `notes`, what was logged; `map`, times of the recording and of the output [s] in pairs,
        empty where nothing was stretched; `gains` of a mix.
    """
    notes = _Notes()
    taken, given = list[np.ndarray](), list[np.ndarray]()

    def moved(one: np.ndarray, other: np.ndarray) -> None:
        taken.append(one)
        given.append(other)

    log = logging.getLogger("vctool")
    log.addHandler(notes)
    try:
        summary = files.convert_files(
            [source],
            model=Path(model),
            accomp=None if accomp is None else Path(accomp),
            to=to if recordings is None else Path(recordings),
            out=Path(out),
            force=True,
            stretch=stretch,
            transpose=transpose,
            accomp_offset=offset,
            vocoder=vocoder,
            options=options,
            progress=lambda done, total: post.tell([done, total]),
            cancelled=lambda: post.unwanted == key,
            moved=moved,
            load=_kept,
        )
    finally:
        log.removeHandler(notes)
    assert len(summary.done) == 1, summary
    settings = next(reversed(_loaded.values())).settings
    return {
        "notes": notes.lines,
        "map": _thinned(taken, given),
        "gains": {"vocal": settings.vocal_gain_db, "accomp": settings.accomp_gain_db},
    }


class _Notes(logging.Handler):
    """Collects the warnings of a conversion."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.lines.append(record.getMessage())


def _kept(
    found: discover.Candidates, device: str, vocoder: str | None = None, rate: int | None = None
) -> Converter:
    """Load a model, or return it as it was loaded before, if its files are still the same."""
    one = found.fitting[0]
    known = (str(one.path), device, vocoder, rate, _stamp(one.path), _stamp_of_vocoder(vocoder))
    converter = _loaded.pop(known, None)
    if converter is None:
        while len(_loaded) >= KEPT:
            del _loaded[next(iter(_loaded))]
        converter = discover.load(found, device, vocoder, rate)
    _loaded[known] = converter
    return converter


def _stamp(path: Path) -> tuple[object, ...]:
    """Return what changes when a model does."""
    if untrained.is_one(path):
        return ()
    folder = find(path)
    status = (folder / STATE if folder.is_dir() else folder).stat()
    return str(folder), status.st_mtime_ns, status.st_size


def _stamp_of_vocoder(name: str | None) -> str | None:
    """Return what changes when a trained vocoder does.

    Raises:
        CheckpointError: it was listed, and is there no more.
    """
    if name is None or name in vocoders.names():
        return None
    path = Path(name)
    if not path.exists():
        raise CheckpointError(f"The vocoder {path.name} is not here any more; choose another.")
    return state_of(stored.find_weights(path))


def _thinned(taken: list[np.ndarray], given: list[np.ndarray]) -> list[float]:
    """Return a time map as pairs of times [s], at steps of the output."""
    if not taken:
        return []
    one, other = np.concatenate(taken), np.concatenate(given)
    times = np.append(np.arange(0, other[-1], MAP_STEP), other[-1])
    pairs = np.stack([np.interp(times, other, one), times], axis=1)
    return [round(float(value), 3) for value in pairs.ravel()]


def describe(model: str, trained: list[dict[str, Any]]) -> dict[str, Any]:
    """Say what can be asked of a model; no weights of it are read.

    Args:
        model: as `--model`.
        trained: what may be a trained vocoder, as `looking.vocoders` lists it.

    Returns:
        `backing`: the targets that need one, `*` for recordings; `stretch` for the last role;
        `options` of its family as JSON schema; the name of its `vocoder`, and the `vocoders` that
        it can take instead: by `key`, the `name` of each and what it is for `--vocoder`.

    Raises:
        CheckpointError: it cannot be loaded.
    """
    one = discover.named(Path(model)).fitting[0]
    if untrained.is_one(one.path):
        system, state = untrained.load(str(one.path))
        config, features, own = system.config, system.context.features, system.context.vocoder
        recipe = state["recipe"]
    else:
        state = read_state(find(one.path))
        config = build(one.system.Config, state["config"], f"{model} config")
        features = build(FeatureConfig, state["context"]["features"], f"{model} features")
        own, recipe = str(state["context"]["vocoder"]), one.recipe
    settings = build(ConvertConfig, recipe.get("convert", {}), f"{model} convert")
    needs = {role: one.system.needs_accompaniment(config, role) for role in one.roles}
    if one.system.takes_reference:
        needs["*"] = one.system.needs_accompaniment(config, None)
    return {
        "backing": [role for role, needed in needs.items() if needed],
        "stretch": settings.stretch,
        "options": one.system.Options.model_json_schema().get("properties", {}),
        "vocoder": Path(own).name,
        "vocoders": _vocoders(features, one.system.writes(config), own, trained),
    }


def _vocoders(
    features: FeatureConfig, written: Sequence[str], own: str, trained: list[dict[str, Any]]
) -> dict[str, dict[str, str]]:
    """Name the vocoders that can turn what a model writes into sound, besides its own."""
    found: dict[str, dict[str, str]] = {}
    for name in vocoders.names():
        try:
            vocoders.get(name, features).accepts(features, written)
        except (ConfigError, CheckpointError):  # this one cannot
            continue
        found[name] = {"name": name, "path": name}
    for one in trained:
        try:
            name, learnt = stored.told(Path(one["path"]))
            agreement.require_kind(name, vocoders.vocoder_class(name).reads[0], written)
            agreement.require_same(name, learnt, features)
        except (ConfigError, CheckpointError):  # nor this, or it is another kind of model
            continue
        found[one["key"]] = {"name": f"{one['name']} ({name})", "path": one["path"]}
    itself = vocoders.absolute(own)
    return {key: one for key, one in found.items() if vocoders.absolute(one["path"]) != itself}

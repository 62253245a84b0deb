"""Every family of the tree on synthetic features: random, but of the right shapes and ranges."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vctool import models
from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.data.feature_set import FeatureSet
from vctool.engine.settings import TrainConfig
from vctool.experiment import plan, recipe
from vctool.features.analysis import whole_features
from vctool.features.base import accompaniment_kinds, of_accompaniment, voice_kinds
from vctool.features.base import plain as plain_kind
from vctool.features.excerpt import Excerpt
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.models import base

FEATURES = FeatureConfig(
    rate=16000, hop_length=192, n_fft=1024, n_mels=40, envelope_dim=24, chroma_n_fft=2048
)
ROLES = ("speech", "singing")
TOYS = Path(__file__).parents[1] / "toys" / "models"
"""Families that ship with the tests, and do what none of the tree does."""
BATCH = 4


def features_of(kind: str, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return (F, D) that could be one utterance's features of a kind."""
    plain = plain_kind(kind)
    if plain == "chroma":
        energy = rng.random((frames, 12)) ** 4 + 1e-3
        return (energy / energy.sum(axis=1, keepdims=True)).astype(np.float32)
    # slowly moving, as sound is: independent frames would leave nothing to learn
    knots = rng.standard_normal((2 + frames // 8, 64))
    moves = np.apply_along_axis(
        lambda y: np.interp(np.linspace(0, len(y) - 1, frames), np.arange(len(y)), y), 0, knots
    )
    if plain == "mel":
        level = -40 + 12 * moves[:, : FEATURES.n_mels]
        return np.maximum(level, level.max() - FEATURES.top_db).astype(np.float32)
    if plain == "wave":
        shape = frames, FEATURES.hop_length
        loud = 0.1 * np.abs(moves[:, :1]) * rng.standard_normal(shape)
        f0 = 110 * 2 ** (rng.integers(24) / 12)  # and a note, as instruments have
        turns = 2 * np.pi * f0 / FEATURES.rate * np.arange(loud.size).reshape(shape)
        return (loud + sum(0.1 / n * np.sin(n * turns) for n in range(1, 9))).astype(np.float32)
    f0 = np.where(moves[:, 0] > -0.5, 180 * 2 ** (0.4 * moves[:, 1]), 0.0)
    if plain == "pitch":
        return f0[:, None].astype(np.float32)
    if plain == "world":
        envelope = -8 + 3 * moves[:, 2 : 2 + FEATURES.envelope_dim]
        aperiodicity = -20 + 5 * moves[:, -1:]
        return np.column_stack([f0, envelope, aperiodicity]).astype(np.float32)
    wave = (0.1 * rng.standard_normal((frames - 1) * FEATURES.hop_length + 1)).astype(np.float32)
    return whole_features(Excerpt(wave, FEATURES), (plain,), FEATURES.wide_range)[plain]


def stats(f0: float) -> SpeakerStats:
    return SpeakerStats(
        log_f0_mean=float(np.log(f0)),
        log_f0_std=0.25,
        f0_floor=80.0,
        f0_ceil=400.0,
        voiced_frames=1000,
    )


class FamilyCase:
    """One family at its tiny size, with data to train and convert.

    A case lives as long as the session, and what takes time is made once: `data` and `sets` are
    only read, and every `system()` is a copy.

    Args:
        name: of the family.
        changes: hyper-parameters other than those of `tiny.yaml`.
        weights: weights of the loss terms other than those of `tiny.yaml`.
    """

    def __init__(
        self,
        name: str,
        changes: Mapping[str, Any] | None = None,
        weights: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.cls = base.family(name)
        own = TOYS / name / "tiny.yaml"
        tree = read_yaml(own if own.exists() else PROJECT_ROOT / "conf" / name / "tiny.yaml")
        if weights is not None:
            tree["train"] = {**tree.get("train", {}), "weights": weights}
        model = {**tree.get("model", {}), **(changes or {})}
        self.config = build(self.cls.Config, model, f"conf/{name}/tiny.yaml model")
        self.train = build(
            TrainConfig,
            {**tree.get("train", {}), "batch_size": BATCH, "steps": 6, "save_every": 2},
            f"conf/{name}/tiny.yaml train",
        )
        self.reads, self.learns, self.writes = (
            kinds(self.config) for kinds in (self.cls.reads, self.cls.learns, self.cls.writes)
        )
        self.context = base.Context(
            features=FEATURES,
            vocoder=next((one for one in ("world", "wave") if one in self.writes), "griffin_lim"),
            roles=() if self.cls.only_references else ROLES,
            speakers={f"{role}-{n}": stats(150 + 60 * n) for role in ROLES for n in (0, 1)},
            domains={"speech": stats(150), "singing": stats(220)},
        )

    @property
    def targets(self) -> tuple[str | None, ...]:
        """What it converts to: every role, or a reference (None) where it has none."""
        return self.context.roles or (None,)

    @cached_property
    def sets(self) -> dict[str, FeatureSet]:
        """Three utterances by two speakers of every role, or what two instruments play."""
        made = {}
        if self.cls.only_references:
            return {recipe.VOICES: self._played()}
        for index, role in enumerate(ROLES):
            rng = np.random.default_rng(index)
            names = [f"{role}-{n % 2}-utt{n}" for n in range(3)]
            frames = {name: 150 + 40 * n for n, name in enumerate(names)}
            arrays = {
                kind: {name: features_of(kind, frames[name], rng) for name in names}
                for kind in self.learns
                if role == "singing" or not of_accompaniment(kind)
            }
            speakers = {name: name.rpartition("-")[0] for name in names}
            made[role] = FeatureSet.from_arrays(arrays, speakers, dict.fromkeys(names, role))
        return made

    def _played(self) -> FeatureSet:
        """Return two stretches of notes by two instruments."""
        names = [f"{who}-{stretch}" for who in ("bow", "pipe") for stretch in ("s0", "s1")]
        arrays = {
            kind: {
                name: features_of(kind, 150 + 40 * (n % 2), np.random.default_rng(n))
                for n, name in enumerate(names)
            }
            for kind in self.learns
        }
        who, stretches = ({name: name.split("-")[i] for name in names} for i in (0, 1))
        return FeatureSet.from_arrays(arrays, who, who, stretches)

    def dataset(self) -> base.Dataset | None:
        """Return a dataset that has not been asked for anything."""
        return self.cls.dataset(self.config, self.context, self.sets, BATCH, 0)

    @cached_property
    def data(self) -> base.Dataset | None:
        """A dataset for all tests: a batch is a function of seed and step, as one of them shows."""
        return self.dataset()

    def system(self, fitted: bool = True) -> base.System:
        """Return a system in training mode that nobody else has; `fitted` after its setup."""
        return copy.deepcopy(self._fitted if fitted else self._built)

    @cached_property
    def _built(self) -> base.System:
        torch.manual_seed(0)
        return self.cls(self.config, self.context).train()

    @cached_property
    def _fitted(self) -> base.System:
        system, data = copy.deepcopy(self._built), self.data
        if data is not None:
            system.setup(data.setup_batch() if hasattr(data, "setup_batch") else data.batch(0))
        return system.train()

    def source(self, frames: int, seed: int = 0) -> base.Features:
        rng = np.random.default_rng([7, seed])
        return {kind: features_of(kind, frames, rng) for kind in voice_kinds(self.reads)}

    def shape(self, kind: str, frames: int) -> tuple[int, ...]:
        return features_of(kind, frames, np.random.default_rng(0)).shape

    def condition(
        self, frames: int, to: str | None, system: base.System, seed: int = 0
    ) -> base.Condition:
        if to is None:
            return self.reference(system)
        options = self.cls.Options()
        if not system.needs_accompaniment(system.config, to):
            return base.Condition(options=options)
        rng = np.random.default_rng([8, seed])
        kinds = accompaniment_kinds(self.reads)
        accompaniment = {kind: features_of(kind, frames, rng) for kind in kinds}
        return base.Condition(accompaniment, options=options)

    def reference(self, system: base.System, seed: int = 0) -> base.Condition:
        """Return a target that is two recordings."""
        recordings = (self.source(frames, seed + 10) for frames in (200, 90))
        return base.Condition(None, system.reference(recordings), self.cls.Options())


@contextmanager
def toys() -> Iterator[None]:
    """Lay those families beside the tree's; no other line names them."""
    models.__path__.append(str(TOYS))
    yield
    models.__path__.remove(str(TOYS))


def is_choice(field: str, value: object, tiny: object) -> bool:
    """Tell whether a recipe's value of a field of `model` says what is done, not how large it is.

    Zero leaves something out. A step from which something is done is none: the contract is that of
    a training in which all has begun.
    """
    if isinstance(value, bool) or not isinstance(value, int | list | dict):
        return True
    return 0 in (value, tiny) and not field.endswith("_from")


def shipped() -> dict[str, tuple[str, dict[str, Any], dict[str, Any] | None]]:
    """Name what must keep the contract: every family, and every choice that a recipe makes in it.

    Whole numbers, lists and mappings are sizes, and stay tiny, unless one of the two is zero, which
    leaves something out. All else in a recipe's `model` is a choice, such as what a voice is, or
    whether there is an accompaniment. Which experiment it builds on is none.
    """
    found: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None]] = {
        name: (name, {}, None) for name in base.families()
    }
    known = [FamilyCase(*one).config for one in found.values()]
    for title in recipe.recipes():
        one = recipe.load(title)
        resolved = plan.model_config(one)
        below = base.family(one.family).builds_on(resolved).values()
        tiny = FamilyCase(one.family).config.model_dump(mode="json")
        # what a recipe leaves to the family's defaults it chooses too: tiny.yaml may say otherwise
        choices = {
            field: value
            for field, value in resolved.model_dump(mode="json").items()
            if is_choice(field, value, tiny[field]) and value not in below
        }
        weights = one.train.model_dump(mode="json", by_alias=True)["weights"]
        config = FamilyCase(one.family, choices, weights).config
        if config not in known:
            known.append(config)
            found[f"{one.family}-{title}"] = (one.family, choices, weights)
    return found


CASES = shipped() | {path.name: (path.name, {}, None) for path in TOYS.iterdir()}


@cache
def case_of(name: str) -> FamilyCase:
    with toys():
        return FamilyCase(*CASES[name])


LEARNERS = [name for name in CASES if case_of(name).train.weights]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> FamilyCase:
    """Every family."""
    return case_of(request.param)


@pytest.fixture(params=LEARNERS)
def learner(request: pytest.FixtureRequest) -> FamilyCase:
    """Every family that learns something."""
    return case_of(request.param)


@pytest.fixture(params=[name for name in CASES if name not in LEARNERS])
def still(request: pytest.FixtureRequest) -> FamilyCase:
    """Every family that learns nothing."""
    return case_of(request.param)


@pytest.fixture(params=[name for name in CASES if case_of(name).cls.takes_reference])
def follower(request: pytest.FixtureRequest) -> FamilyCase:
    """Every family that takes references."""
    return case_of(request.param)


@pytest.fixture(autouse=True)
def _toys_beside_the_tree() -> Iterator[None]:
    with toys():
        yield


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

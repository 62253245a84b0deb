"""A toy family that really converts, a saved experiment of it, and voices to convert."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from tests.sounds import make_note, make_speech
from vctool.audio.tracks import ArrayTrack
from vctool.config import Config
from vctool.data.datadir import DataDir
from vctool.data.store import StoreWriter
from vctool.data.utterance import Utterance
from vctool.engine import checkpoint
from vctool.engine.settings import TrainConfig
from vctool.experiment.recipe import ConvertConfig, CorpusConfig, Recipe
from vctool.features.analysis import scan, voice_features
from vctool.features.base import Features
from vctool.features.settings import FeatureConfig
from vctool.models import base
from vctool.models.base import Condition, Context

RATE = 16000
FEATURES = FeatureConfig(
    rate=RATE, hop_length=128, n_fft=512, n_mels=40, envelope_dim=24, chroma_n_fft=2048
)


class Toy(base.System):
    """Sings every voiced frame on the strongest pitch class of the accompaniment."""

    class Config(Config):
        poisoned: bool = False

    def __init__(self, config: Any, context: Context) -> None:
        super().__init__(config, context)
        # Smooths the envelope over five frames, so that neighbours matter as in a real network.
        self.smoothing = nn.Parameter(torch.full((5,), 0.2))

    @classmethod
    def reads(cls, config: Any) -> tuple[str, ...]:
        return ("mel", "world", "accomp_mel", "accomp_chroma")

    @classmethod
    def writes(cls, config: Any) -> tuple[str, ...]:
        return ("world",)

    @classmethod
    def needs_accompaniment(cls, config: Any, to: str | None) -> bool:
        return to == "singing"

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        world = source["world"].copy()
        weights = self.smoothing.detach().cpu().numpy()
        for column in range(1, 25):
            padded = np.pad(world[:, column], 2, mode="edge")
            world[:, column] = np.convolve(padded, weights, mode="valid")
        voiced = world[:, 0] > 0
        if to == "singing":
            world[:, 1] += np.log(4)  # 6 dB louder than it was spoken
            accomp = condition.accompaniment
            assert accomp is not None
            assert accomp["accomp_mel"].shape[1] == self.context.features.n_mels
            note = 69 + 12 * np.log2(np.maximum(world[:, 0], 1) / 440)
            target = accomp["accomp_chroma"].argmax(axis=1)
            snapped = note + (target - note + 6) % 12 - 6
            world[:, 0] = np.where(voiced, 440 * 2 ** ((snapped - 69) / 12), 0)
        if self.config.poisoned:
            world[0, 0] = np.nan
        return {"world": world.astype(np.float32)}


@pytest.fixture(autouse=True)
def toy_family(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make `toy` a family beside those of the tree, and use one thread."""
    found = base.family
    monkeypatch.setattr(base, "family", lambda name: Toy if name == "toy" else found(name))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def features() -> FeatureConfig:
    return FEATURES


Save = Callable[..., Path]


@pytest.fixture
def save_toy(tmp_path: Path) -> Save:
    """Save an experiment of the toy family below `tmp_path/exp`."""

    def save(name: str = "toy", poisoned: bool = False, step: int = 7, **convert: float) -> Path:
        context = Context(features=FEATURES, vocoder="world", roles=("speech", "singing"))
        system = Toy(Toy.Config(poisoned=poisoned), context)
        path = tmp_path / "exp" / name
        checkpoint.save(
            path / "checkpoints", system, family="toy", step=step, recipe={"convert": convert}
        )
        return path

    return save


@pytest.fixture
def speech() -> Callable[..., np.ndarray]:
    return make_speech


@pytest.fixture
def note() -> Callable[..., np.ndarray]:
    return make_note


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a voice `in.wav` (1 s) and an accompaniment `inst.wav` (0.7 s, note A)."""
    soundfile.write(tmp_path / "in.wav", make_speech(1.0), RATE)
    soundfile.write(tmp_path / "inst.wav", make_note(0.7, 57), RATE)
    return tmp_path


NOTES = {"0": 57, "1": 52, "2": 60, "3": 55}
"""MIDI note of the accompaniment of each song of `sung_pairs`."""


@pytest.fixture
def sung_pairs(
    tmp_path: Path,
    save_toy: Save,
    features: FeatureConfig,
    speech: Callable[..., np.ndarray],
    note: Callable[..., np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> Recipe:
    """A paired corpus of four spoken and four sung utterances, its features, and a model."""
    monkeypatch.chdir(tmp_path)
    save_toy()
    folder = tmp_path / "data" / "toy" / "test"
    utterances = []
    for name, midi in NOTES.items():
        for domain, seconds in (("speech", 0.9), ("singing", 1.3)):
            path = tmp_path / "wavs" / f"{domain}{name}.wav"
            path.parent.mkdir(exist_ok=True)
            gain = 0.3 if name == "1" else 1.0
            wave = gain * speech(seconds + 0.01 * midi, seed=int(name))
            soundfile.write(path, wave, 16000)
            accomp: tuple[Path, ...] = ()
            if domain == "singing":
                accomp = (tmp_path / "wavs" / f"song{name}.wav",)
                soundfile.write(accomp[0], note(seconds, midi), 16000)
            utterances.append(
                Utterance(f"s-{domain}{name}", "s", domain, path, len(wave) / 16000, accomp=accomp)
            )
    pairs = tuple((f"s-speech{name}", f"s-singing{name}") for name in NOTES)
    DataDir(folder, tuple(utterances), pairs).write()
    made = Recipe(
        name="toy",
        family="toy",
        corpus=CorpusConfig(speech="toy", singing="toy"),
        features=features,
        train=TrainConfig(),
        vocoder="world",
        convert=ConvertConfig(stretch=1.4),
    )
    for kind in ("mel", "world"):
        path = made.dump("toy", "test", kind)
        with StoreWriter(path, kind, features.of_kind(kind)) as writer:
            for one in DataDir.read(folder):
                wave = one.load(16000)
                known = scan(ArrayTrack(wave), features, (kind,), len(wave))
                writer.write(one.id, voice_features(wave, (kind,), features, known)[kind])
    return made

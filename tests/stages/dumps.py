"""A small corpus, and the features that stage 2 computes of it."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool.data import extraction
from vctool.data.datadir import DataDir
from vctool.data.utterance import Utterance
from vctool.engine.settings import TrainConfig
from vctool.experiment import plan
from vctool.experiment.recipe import CorpusConfig, Recipe
from vctool.features.settings import FeatureConfig
from vctool.stages import features

RATE = 16000
KINDS = ("mel", "world", "accomp_mel", "accomp_chroma")
PITCH = {("anna", "speech"): 200, ("anna", "singing"): 400, ("bert", "speech"): 100}


def recipe() -> Recipe:
    config = FeatureConfig(
        rate=RATE, hop_length=192, n_fft=512, n_mels=40, envelope_dim=24, chroma_n_fft=2048
    )
    return Recipe(
        name="test",
        family="vocal_cyclegan",
        corpus=CorpusConfig(speech="tiny", singing="tiny"),
        features=config,
        train=TrainConfig(),
        vocoder="world",
    )


def voice(hz: float, seed: int, seconds: float = 0.5) -> np.ndarray:
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    glide = hz * 2 ** (random.uniform(-2, 2) / 12 * time / seconds)
    phase = 2 * np.pi * np.cumsum(glide) / RATE
    order = np.arange(1, 10)[:, None]
    wave = 0.1 * (np.sin(order * phase) / order).sum(axis=0)
    return (wave + 1e-3 * random.standard_normal(len(time))).astype(np.float32)


def make_split(root: Path, split: str, voices: dict[tuple[str, str], int], count: int = 3) -> None:
    """Write a data dir; sung utterances have an accompaniment that is shorter than they are."""
    folder = root / "data" / "tiny" / split
    folder.mkdir(parents=True)
    found = []
    for (speaker, domain), hz in voices.items():
        for index in range(count):
            name = f"{speaker}-{domain}-{split}-{index}"
            wav = folder / f"{name}.wav"
            soundfile.write(wav, voice(hz, index), RATE)
            accomp: tuple[Path, ...] = ()
            if domain == "singing":
                accomp = (folder / f"{name}.accomp.wav",)
                soundfile.write(accomp[0], voice(262, 9, 0.3), RATE)
            found.append(Utterance(name, speaker, domain, wav, 0.5, accomp=accomp))
    DataDir(folder, tuple(found)).write()


@pytest.fixture
def corpus(workdir: Path) -> Path:
    make_split(workdir, "train", PITCH)
    make_split(workdir, "test", {("anna", "speech"): 200, ("carl", "speech"): 130}, count=2)
    return workdir


def compute(it: Recipe, kinds: tuple[str, ...] = KINDS, nj: int = 1) -> None:
    with extraction.Workers(nj) as workers:
        features.extract(it, "tiny", dict.fromkeys(plan.SPLITS, kinds), workers)


def digests(folder: Path) -> dict[str, str]:
    # locks are left out: they hold the number of the last process that had them
    files = (
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock"
    )
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

"""A tiny system and clips with the statistics that matter: levels in dB, notes, chroma."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from vctool.data.batches import Clips
from vctool.features.settings import FeatureConfig
from vctool.models.base import Context
from vctool.models.vocal_cyclegan.settings import VocalCycleGanConfig
from vctool.models.vocal_cyclegan.streams import layout
from vctool.models.vocal_cyclegan.system import System

FRAMES = 64
FEATURES = FeatureConfig(
    rate=16000, hop_length=192, n_fft=1024, n_mels=20, envelope_dim=16, chroma_n_fft=2048
)
TINY = {
    "clip_frames": FRAMES,
    "singing_channels": (8, 12),
    "speech_channels": (8, 12),
    "melody_width": 4,
    "melody_layers": 1,
    "rocket_features": 168,
    "rocket_hidden": 16,
    "patch_width": 4,
}


def make_clips(config: VocalCycleGanConfig, seed: int, count: int = 4, note: float = 50) -> Clips:
    """Make clips of smooth random spectra, held notes and a chroma peak per clip."""
    random = np.random.default_rng(seed)
    shape = layout(config.voice, FEATURES)
    spectrum = random.normal(-30, 8, (count, shape.spectrum, FRAMES))
    parts = [spectrum]
    if shape.kind == "world":
        notes = note + np.repeat(random.integers(-4, 5, (count, 1, FRAMES // 16)), 16, axis=2)
        voiced = (random.random((count, 1, FRAMES)) < 0.8).astype(float)
        contours = np.cumsum(random.normal(0, 0.2, (count, 1, FRAMES)), axis=2)
        parts += [notes, voiced, contours, np.full((count, 1, FRAMES), note)]
    channels = FEATURES.n_mels if config.accompaniment else 0
    condition = random.normal(-30, 8, (count, channels, FRAMES))
    chroma = random.dirichlet(np.full(12, 0.3), (count, FRAMES)).swapaxes(1, 2)
    condition = np.concatenate([condition, chroma], axis=1) if channels else condition
    return Clips(
        torch.tensor(np.concatenate(parts, axis=1), dtype=torch.float32),
        torch.tensor(condition, dtype=torch.float32),
        torch.tensor(random.integers(1 << 40, size=count)),
    )


@pytest.fixture
def features() -> FeatureConfig:
    """Return the settings behind the tiny system."""
    return FEATURES


@pytest.fixture
def make_system() -> Callable[..., tuple[System, dict[str, Clips]]]:
    """Return a function that builds a tiny system, set up on its own batch."""

    def make(**settings: object) -> tuple[System, dict[str, Clips]]:
        config = VocalCycleGanConfig.model_validate({**TINY, **settings})
        torch.manual_seed(0)
        context = Context(features=FEATURES, vocoder="world", roles=("speech", "singing"))
        system = System(config, context)
        batch = {
            "speech": make_clips(config, 1, note=50),
            "singing": make_clips(config, 2, note=62),
        }
        system.setup(batch)
        return system, batch

    return make

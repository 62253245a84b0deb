"""What training is for: the other voice's colour, the own words."""

import numpy as np
import torch

from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.data.feature_set import FeatureSet
from vctool.engine.distributed import Processes
from vctool.engine.optim import GroupOptimizers
from vctool.engine.settings import TrainConfig
from vctool.engine.step import train_step
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.models.base import Condition, Context
from vctool.models.vae_gan.system import System

FEATURES = FeatureConfig(rate=16000, n_fft=1024, hop_length=200, n_mels=32)
ROLES = ("low", "even", "high")
STEPS = 150


def colour(role: str) -> np.ndarray:
    """A voice that is loud at one end of the bins: (n_mels,) [dB]."""
    tilt = {"low": -15.0, "even": 0.0, "high": 15.0}[role]
    return tilt * np.linspace(-1, 1, FEATURES.n_mels)


def words(rng: np.random.Generator, frames: int = 200) -> np.ndarray:
    """Two formants that wander: (F, n_mels) [dB]."""
    bins = np.arange(FEATURES.n_mels)
    level = np.full((frames, FEATURES.n_mels), -55.0)
    for _ in range(2):
        knots = rng.uniform(3, FEATURES.n_mels - 4, 2 + frames // 12)
        place = np.interp(np.arange(frames) / 12, np.arange(len(knots)), knots)
        level = np.maximum(level, -20 - 2.0 * np.abs(bins - place[:, None]))
    return level


def said(content: np.ndarray, role: str) -> np.ndarray:
    return (content + colour(role)).astype(np.float32)


def test_a_conversion_has_the_targets_colour_and_the_sources_words() -> None:
    tree = read_yaml(PROJECT_ROOT / "conf" / "vae_gan" / "tiny.yaml")
    changes = {"pitch": "none", "width": 32, "latent_channels": 8, "cepstra": 16, "loudness": False}
    config = build(System.Config, {**tree["model"], **changes}, "model")
    settings = {**tree["train"], "steps": STEPS, "learning_rates": {}, "learning_rate": 2e-3}
    train = build(TrainConfig, settings, "train")
    stats = SpeakerStats(log_f0_mean=5.0, log_f0_std=0.2, f0_floor=60, f0_ceil=400, voiced_frames=9)
    context = Context(
        features=FEATURES, vocoder="griffin_lim", roles=ROLES, domains=dict.fromkeys(ROLES, stats)
    )
    rng = np.random.default_rng(0)
    sets = {}
    for role in ROLES:
        names = [f"{role}-{n}" for n in range(12)]
        arrays = {"mel": {name: said(words(rng), role) for name in names}}
        own = dict.fromkeys(names, role)
        sets[role] = FeatureSet.from_arrays(arrays, own, own)
    torch.manual_seed(0)
    system = System(config, context)
    data = System.dataset(config, context, sets, 4, 0)
    system.setup(data.setup_batch())
    optimizers = GroupOptimizers(system.train(), train)
    for step in range(STEPS):
        train_step(system, data.batch(step), step, optimizers, Processes())
    system.eval()
    for origin, target in (("low", "high"), ("high", "even"), ("even", "low")):
        content = words(rng)
        copy = said(content, origin)
        truth = said(content, target)
        made = system.convert({"mel": copy}, Condition(), target)["mel"]
        # levels are the utterance's own, so only differences between bins count
        moved, wanted, before = (one - one.mean() for one in (made, truth, copy))
        assert np.abs(moved - wanted).mean() < 0.5 * np.abs(before - wanted).mean()
        spoken = (moved - moved.mean(axis=0)).ravel()
        assert np.corrcoef(spoken, (wanted - wanted.mean(axis=0)).ravel())[0, 1] > 0.7

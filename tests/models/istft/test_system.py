"""That training brings a vocoder nearer to recordings, and who sees what while it does."""

from typing import Any

import numpy as np
import pytest
import torch

from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.data.feature_set import FeatureSet
from vctool.engine.distributed import Processes
from vctool.engine.optim import GroupOptimizers
from vctool.engine.settings import TrainConfig
from vctool.engine.step import seed_step, train_step
from vctool.features import framing, world
from vctool.features.mel import log_mel
from vctool.features.settings import FeatureConfig
from vctool.models.base import Context, family

FEATURES = FeatureConfig(rate=16000, n_fft=1024, hop_length=200, n_mels=40)
TINY = {
    "istft": {},
    "hifigan": {"upsample_rates": [10, 5, 4], "upsample_kernel_sizes": [20, 11, 8]},
}

PACE = {"steps": 40, "learning_rate": 3e-3, "learning_rates": {}, "decay_from": 1.0}


def voice(seed: int) -> np.ndarray:
    """Make two seconds of a gliding voice with a formant, and a hiss in between."""
    rng = np.random.default_rng(seed)
    samples = 32000
    f0 = 120 * 2 ** np.interp(np.arange(samples), np.linspace(0, samples, 9), rng.random(9))
    phase = 2 * np.pi * np.cumsum(f0 / 16000)
    wave = sum(np.sin(h * phase) / (1 + ((h * f0 - 600) / 300) ** 2) for h in range(1, 20))
    loud = np.repeat(rng.random(20) > 0.3, samples // 20)
    return (0.1 * loud * wave + 0.01 * rng.standard_normal(samples)).astype(np.float32)


def sets() -> dict[str, FeatureSet]:
    waves = {f"voice-{n}": voice(n) for n in range(3)}
    arrays = {
        "mel": {name: log_mel(wave, FEATURES) for name, wave in waves.items()},
        "pitch": {name: world.estimate_f0(wave, FEATURES)[:, None] for name, wave in waves.items()},
        "wave": {name: framing.frame(wave, FEATURES) for name, wave in waves.items()},
    }
    return {
        "voices": FeatureSet.from_arrays(
            arrays, dict.fromkeys(waves, "voice"), dict.fromkeys(waves, "speech")
        )
    }


def made(name: str, **changes: Any) -> tuple[Any, Any, GroupOptimizers]:
    tree = read_yaml(PROJECT_ROOT / "conf" / name / "tiny.yaml")
    system_class = family(name)
    config = build(system_class.Config, {**tree["model"], **TINY[name], **changes}, name)
    train = build(TrainConfig, {**tree["train"], **PACE}, name)
    context = Context(features=FEATURES, vocoder="wave", roles=("voices",))
    torch.manual_seed(0)
    system = system_class(config, context)
    data = system_class.dataset(config, context, sets(), 4, 0)
    system.setup(data.batch(0))
    return system.train(), data, GroupOptimizers(system, train)


def spectral(system: Any, batch: Any, term: str) -> float:
    seed_step(0, 0)
    with torch.no_grad():
        return sum(float(t[term]) for g, t in system.objectives(batch, 0) if g == "generator")


@pytest.mark.parametrize("name", TINY)
def test_training_brings_it_nearer_to_recordings(name: str) -> None:
    system, data, optimizers = made(name)
    held = data.batch(1000)
    before = {term: spectral(system, held, term) for term in ("stft", "mel")}
    for step in range(25):
        train_step(system, data.batch(step), step, optimizers, Processes())
    for term, was in before.items():
        begun = name == "istft" and term == "mel"  # which it is held to from the first step
        assert spectral(system, held, term) < (1.05 if begun else 0.95) * was, term


def test_the_pitch_head_learns_beside_it() -> None:
    system, data, optimizers = made("istft")
    before = spectral(system, data.batch(1000), "pitch")
    for step in range(25):
        train_step(system, data.batch(step), step, optimizers, Processes())
    assert spectral(system, data.batch(1000), "pitch") < 0.9 * before


@pytest.mark.parametrize("name", TINY)
def test_discriminators_wait_for_their_step(name: str) -> None:
    system, data, _ = made(name, adversarial_from=5)
    for step, wanted in ((4, ["generator"]), (5, ["discriminator", "generator"])):
        found = dict(system.objectives(data.batch(0), step))
        assert list(found) == wanted
        judged = float(found["generator"]["adversarial"].detach())
        assert (judged > 0) is (step == 5)


@pytest.mark.parametrize("name", TINY)
def test_discriminators_see_the_middle_of_a_clip_alone(name: str) -> None:
    system, data, _ = made(name, judged_frames=4)
    seen = []
    inner = system.discriminators.forward

    def watched(wave: torch.Tensor) -> Any:
        seen.append(wave.shape[-1])
        return inner(wave)

    system.discriminators.forward = watched
    dict(system.objectives(data.batch(0), 0))
    assert set(seen) == {4 * FEATURES.hop_length}


def test_one_clip_sounds_alike_in_any_batch() -> None:
    """Noise belongs to the example: what is made of it does not depend on its neighbours."""
    system, data, _ = made("istft")
    system.eval()
    heard = []
    inner = system.generator.forward

    def kept(*args: Any) -> Any:
        result = inner(*args)
        heard.append(result.wave)
        return result

    system.generator.forward = kept
    with torch.no_grad():
        dict(system.objectives(data.batch(0), 0))
        for rank in range(4):
            torch.manual_seed(rank)
            dict(system.objectives(data.batch(0, rank, 4), 0))
    whole, parts = heard[0], heard[1:]
    # roles, one for each speed, follow one another in a batch
    speeds = len(system.config.speeds)
    order = [rank + 4 * speed for rank in range(4) for speed in range(speeds)]
    torch.testing.assert_close(torch.cat(parts), whole[order], rtol=1e-3, atol=1e-4)

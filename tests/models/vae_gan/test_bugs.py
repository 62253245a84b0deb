"""What undid the published system, each with a test that would have caught it.

Bugs are numbered as in the notes on that system: H8, H9 and H11 are of its helpers and its texts.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from tests.sounds import buzz
from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.data.feature_set import FeatureSet
from vctool.engine import checkpoint, manifest
from vctool.engine.distributed import Processes
from vctool.engine.loop import Trainer
from vctool.engine.optim import GroupOptimizers
from vctool.engine.settings import TrainConfig
from vctool.engine.step import train_step
from vctool.features.base import Features
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.inference.converter import Converter
from vctool.models.base import Condition, Context
from vctool.models.vae_gan.posterior import Posterior
from vctool.models.vae_gan.settings import VaeGanConfig
from vctool.models.vae_gan.system import System

RATE = 16000
FEATURES = FeatureConfig(
    rate=RATE, n_fft=512, hop_length=160, n_mels=32, f0_floor=60, f0_ceil=500, mel_power=1
)
CLIP = 64
SMALL = {
    "clip_frames": CLIP,
    "width": 8,
    "latent_channels": 4,
    "encoder_blocks": 1,
    "decoder_blocks": 1,
    "discriminator_width": 2,
}
WEIGHTS: dict[str, Any] = {
    "discriminator": {"adversarial": 1.0},
    "generator": {"reconstruction": 10.0, "cycle": 5.0, "adversarial": 1.0}
    | {"kl": 0.1, "cycle_kl": 0.1, "latent": 1.0},
}
NETWORKS = pytest.mark.parametrize("network", ["1d", "2d"])


def make(network: str = "1d", voices: int = 2, **changes: Any) -> System:
    pitch = "move" if network == "1d" else "none"
    roles = tuple(f"voice{n}" for n in range(voices))
    domains = {
        role: SpeakerStats(
            log_f0_mean=4.6 + 0.2 * n, log_f0_std=0.2, f0_floor=60, f0_ceil=400, voiced_frames=9
        )
        for n, role in enumerate(roles)
    }
    context = Context(
        features=FEATURES, vocoder="griffin_lim", roles=roles, domains=domains, speakers=domains
    )
    config = VaeGanConfig.model_validate({"network": network, "pitch": pitch, **SMALL, **changes})
    torch.manual_seed(0)
    return System(config, context).train()


def utterance(frames: int, seed: int) -> Features:
    rng = np.random.default_rng(seed)
    mel = -40 + 10 * np.cumsum(0.3 * rng.standard_normal((frames, 32)), axis=0)
    mel = np.maximum(mel, mel.max() - FEATURES.top_db).astype(np.float32)
    f0 = np.where(rng.random(frames) > 0.3, 150.0, 0.0)[:, None].astype(np.float32)
    return {"mel": mel, "pitch": f0}


def data(system: System, batch_size: int = 4, seed: int = 0) -> Any:
    sets = {}
    for n, role in enumerate(system.context.roles):
        made = {f"{role}-{k}": utterance(100, 10 * n + k) for k in range(2)}
        arrays = {
            kind: {name: one[kind] for name, one in made.items()} for kind in ("mel", "pitch")
        }
        sets[role] = FeatureSet.from_arrays(
            arrays, dict.fromkeys(made, role), dict.fromkeys(made, "speech")
        )
    return System.dataset(system.config, system.context, sets, batch_size, seed)


def source(system: System, frames: int, seed: int = 7) -> Features:
    kinds = System.reads(system.config)
    return {kind: values for kind, values in utterance(frames, seed).items() if kind in kinds}


def transparent(system: System) -> System:
    """Let codes be the mel itself and decoders hand it on, so that what is around them is seen."""
    system._encode = lambda mel: Posterior(mel, torch.zeros_like(mel))  # type: ignore[method-assign]
    system._decode = lambda code, f0, loudness, role: code  # type: ignore[method-assign]
    return system


def train_config(**changes: Any) -> TrainConfig:
    plain = {"steps": 4, "batch_size": 4, "save_every": 1, "decay_from": 1.0, "weights": WEIGHTS}
    return TrainConfig.model_validate(plain | changes)


@NETWORKS
def test_conversion_takes_the_mean_of_the_code(network: str) -> None:
    """H1: the code was mean plus unit noise at inference too, so no output came twice."""
    system = make(network)
    one = system.convert(source(system, 150), Condition(), "voice1")
    torch.manual_seed(99)
    two = system.convert(source(system, 150), Condition(), "voice1")
    encode = system._encode

    def wide(mel: Tensor) -> Posterior:
        return Posterior(encode(mel).mean, torch.full_like(encode(mel).mean, 6.0))

    system._encode = wide  # type: ignore[method-assign]
    unsure = system.convert(source(system, 150), Condition(), "voice1")
    for kind in one:
        np.testing.assert_array_equal(one[kind], two[kind])
        np.testing.assert_array_equal(one[kind], unsure[kind])


@NETWORKS
def test_training_goes_on_from_what_was_learnt(network: str, tmp_path: Path) -> None:
    """H2: a run that said it went on from an epoch restored nothing and began anew."""

    def train(out: Path, steps: int) -> dict[str, Tensor]:
        system = make(network)
        given = train_config(steps=steps)
        trainer = Trainer(system, data(system), None, given, out, family="vae_gan")
        folder = trainer.run()
        assert checkpoint.read_state(folder)["step"] == steps
        return checkpoint.read_tensors(folder / "model.safetensors")

    whole = train(tmp_path / "whole", 4)
    half = train(tmp_path / "parts", 2)
    parts = train(tmp_path / "parts", 4)
    assert sorted(manifest.step_folders(tmp_path / "parts" / "checkpoints"))[-1] == 4
    assert any(not torch.equal(half[name], parts[name]) for name in half)
    assert [name for name in whole if not torch.equal(whole[name], parts[name])] == []


@NETWORKS
@pytest.mark.parametrize("voices", [2, 4])
def test_every_parameter_is_stepped_once_a_step(network: str, voices: int) -> None:
    """H3: what decoders share was in both optimizers, and stepped four times with each batch."""
    system = make(network, voices)
    names = {id(parameter): name for name, parameter in system.named_parameters()}
    owned = [names[id(one)] for part in system.groups().values() for one in part]
    assert sorted(owned) == sorted(names.values()), "each in one group, and there once"
    optimizers = GroupOptimizers(system, train_config())
    moved: list[str] = []
    shared = {name: p.detach().clone() for name, p in system.named_parameters() if "shared" in name}
    assert shared
    update = optimizers.update

    def watched(group: str, learning_rate: float) -> None:
        update(group, learning_rate)
        for name, parameter in system.named_parameters():
            if name in shared and not torch.equal(shared[name], parameter):
                moved.append(name)
                shared[name] = parameter.detach().clone()

    optimizers.update = watched  # type: ignore[method-assign]
    batches = data(system)
    for step in range(3):
        train_step(system, batches.batch(step), step, optimizers, Processes())
    assert {moved.count(name) for name in shared} == {3}
    steps = {n: float(v) for n, v in optimizers.moments().items() if n.endswith("/step")}
    assert set(steps.values()) == {3.0}


@pytest.mark.parametrize("conf", ["default", "published", "tiny"])
def test_the_step_size_falls_to_zero_with_the_last_step_and_never_below(conf: str) -> None:
    """H4: stepped by batch instead of epoch, it was 0 after 100 batches and then negative."""
    tree = read_yaml(PROJECT_ROOT / "conf" / "vae_gan" / f"{conf}.yaml")
    given = build(TrainConfig, {**tree["train"], "steps": 500}, conf)
    optimizers = GroupOptimizers(make(), given)
    for group in ("generator", "discriminator"):
        rates = np.array([optimizers.learning_rate(group, step) for step in range(501)])
        assert (rates[:500] > 0).all() and rates[500] == 0
        assert (np.diff(rates) <= 0).all()
        assert rates[0] == given.learning_rates.get(group, given.learning_rate)
        assert rates[250] == rates[0] and rates[375] == pytest.approx(rates[0] / 2)


@pytest.mark.parametrize("frames", [1, 3, CLIP - 1, CLIP, CLIP + 1, 2 * CLIP - 1, 333])
def test_every_frame_stands_where_it_stood_the_last_ones_too(frames: int) -> None:
    """H5: the last window was filled up on its left, which moved the end by up to 127 frames."""
    system = transparent(make())
    given = source(system, frames)
    made = system.convert(given, Condition(), "voice1")["mel"]
    np.testing.assert_allclose(made, given["mel"], atol=1e-3)


@NETWORKS
@pytest.mark.parametrize("frames", [1, 3, CLIP - 1, CLIP + 1, 333])
def test_any_length_is_converted_at_its_own(network: str, frames: int) -> None:
    """H5, with the networks."""
    system = make(network)
    made = system.convert(source(system, frames), Condition(), "voice1")["mel"]
    assert made.shape == (frames, 32)
    assert np.isfinite(made).all()


@NETWORKS
@pytest.mark.parametrize(("voices", "batch_size"), [(2, 1), (2, 5), (3, 3), (7, 2)])
def test_any_number_of_voices_in_batches_of_any_size(
    network: str, voices: int, batch_size: int
) -> None:
    """H6: labels were made for batches of four, and two voices were written into the code."""
    system = make(network, voices)
    batches = data(system, batch_size)
    optimizers = GroupOptimizers(system, train_config(batch_size=batch_size, steps=voices))
    met: set[str] = set()
    for step in range(voices):
        batch = batches.batch(step)
        met |= set(batch)
        assert all(len(clips.voice) == batch_size for clips in batch.values())
        assert not bool(train_step(system, batch, step, optimizers, Processes()).bad)
    assert met == set(system.context.roles)
    outputs = [
        system.convert(source(system, 90), Condition(), to)["mel"] for to in system.context.roles
    ]
    assert all(np.abs(outputs[0] - other).max() > 0 for other in outputs[1:])


def test_the_divergence_is_that_of_two_gaussians() -> None:
    """H7: the published prior was the mean square of codes whose variance was always one."""
    torch.manual_seed(0)
    mean, log_variance = torch.randn(3, 4, 5), torch.randn(3, 4, 5)
    posterior = Posterior.of(mean, log_variance)
    deviation = torch.exp(0.5 * posterior.log_variance)
    expected = kl_divergence(Normal(posterior.mean, deviation), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(posterior.divergence(), expected)
    assert Posterior.of(torch.zeros(2, 3), torch.zeros(2, 3)).divergence() == 0
    drawn = Posterior.of(torch.full((4000, 1), 0.5), torch.full((4000, 1), -1.4))
    codes = drawn.sample(torch.arange(4000), 0)
    assert codes.mean() == pytest.approx(0.5, abs=0.03)
    assert codes.std() == pytest.approx(np.exp(-0.7), rel=0.03)


@NETWORKS
def test_the_deviation_of_a_code_is_learnt(network: str) -> None:
    """H7: there was no head for it. Here both losses that want it pull, each its own way."""
    system = make(network)
    batch = data(system).batch(0)
    seen: list[Posterior] = []
    encode = system._encode

    def caught(mel: Tensor) -> Posterior:
        seen.append(encode(mel))
        seen[-1].log_variance.retain_grad()
        return seen[-1]

    system._encode = caught  # type: ignore[method-assign]
    for name in ("kl", "reconstruction"):
        seen.clear()
        terms = dict(system.objectives(batch, 0))["generator"]
        terms[name].backward()
        gradient = seen[0].log_variance.grad
        assert gradient is not None and gradient.abs().max() > 0, name


def test_codes_are_matched_clip_by_clip() -> None:
    """H7: only the means of whole batches were matched, which opposite errors satisfy."""
    system = make("2d")

    def latent(codes: dict[str, list[float]]) -> float:
        levels = torch.tensor([level for part in codes.values() for level in part])
        mean = levels[:, None, None, None].expand(-1, 32, 8, CLIP // 4)
        encode = system._encode
        first = iter([Posterior(mean, torch.zeros_like(mean))])
        system._encode = lambda mel: next(first, None) or encode(mel)  # type: ignore[method-assign]
        try:
            terms = dict(system.objectives(data(system, 2).batch(0), 0))["generator"]
        finally:
            system._encode = encode  # type: ignore[method-assign]
        return float(terms["latent"])

    assert latent({"voice0": [0.3, -0.3], "voice1": [0.3, -0.3]}) == pytest.approx(0, abs=1e-6)
    # the batches' means agree, the clips do not
    assert latent({"voice0": [1.0, -1.0], "voice1": [-1.0, 1.0]}) == pytest.approx(2.0)


@pytest.fixture
def converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Converter:
    """A stored model whose networks hand on what they are given."""
    checkpoint.save(tmp_path / "checkpoints", make(), family="vae_gan", step=1)
    found = Converter(tmp_path, "cpu")
    assert isinstance(found.system, System)
    transparent(found.system)
    return found


def chime(begin: float, end: float, seconds: float) -> np.ndarray:
    """A harmonic sound between two moments, and nothing before and after."""
    time = np.arange(round(seconds * RATE)) / RATE
    wave = buzz(seconds, 160, 19, RATE)
    sounding = (time >= begin) & (time < end)
    return np.asarray(wave * sounding, np.float32)


def test_silence_is_neither_cut_nor_filled(
    converter: Converter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H10: what a voice activity detector called silent was cut out, and the timing with it."""
    wave = chime(0.8, 1.5, 2.6)
    made, rate = converter.convert(wave, RATE, to="voice1")
    assert rate == RATE and len(made) == len(wave)
    loud = np.sqrt(np.mean(made[round(0.9 * RATE) : round(1.4 * RATE)] ** 2))
    for begin, end in ((0.0, 0.7), (1.6, 2.6)):
        quiet = np.sqrt(np.mean(made[round(begin * RATE) : round(end * RATE)] ** 2))
        assert quiet < 0.01 * loud
    envelope = np.convolve(made**2, np.ones(160) / 160, "same")
    sounding = np.flatnonzero(envelope > 0.1 * loud**2) / RATE
    assert sounding[0] == pytest.approx(0.8, abs=0.04)
    assert sounding[-1] == pytest.approx(1.5, abs=0.04)


@pytest.mark.parametrize("gain", [0.05, 4.0])
def test_a_recording_is_as_loud_afterwards(converter: Converter, gain: float) -> None:
    """H10: quiet recordings were raised to one level, and loud ones were not."""
    wave = 0.2 * chime(0.2, 1.2, 1.4)
    usual, _ = converter.convert(wave, RATE, to="voice1")
    other, _ = converter.convert(gain * wave, RATE, to="voice1")
    levels = [np.sqrt(np.mean(np.square(one))) for one in (usual, other)]
    assert levels[1] / levels[0] == pytest.approx(gain, rel=0.05)
    assert levels[0] == pytest.approx(np.sqrt(np.mean(np.square(wave))), rel=0.15)

"""vae_gan: training beside the published formulation of the same step, and conversion.

The published step: batches of four clips of either voice in float32, each batch used twice, once in
either order, with fresh noise. Each time everything is encoded, decoded to both voices, encoded
again and decoded back; five optimizers are stepped, and since the decoders' shared block belongs to
two of them it moves four times a batch, twice of them by a gradient that is out of date.
"""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vctool.audio.tracks import ArrayTrack
from vctool.config import PROJECT_ROOT, build, merge, read_yaml
from vctool.data.feature_set import FeatureSet
from vctool.data.utterance import Utterance
from vctool.engine import checkpoint
from vctool.engine.settings import TrainConfig
from vctool.engine.step import uses_bf16
from vctool.features import stats
from vctool.features.analysis import scan, voice_features
from vctool.features.settings import FeatureConfig
from vctool.inference.converter import Converter
from vctool.models.base import Context, System, family

ROUNDS = int(os.environ.get("VCTOOL_BENCH_ROUNDS", "3"))
THREADS = int(os.environ.get("VCTOOL_BENCH_THREADS", "2"))
BATCH = int(os.environ.get("VCTOOL_BENCH_BATCH", "4"))
"""Our clips of either voice."""
PRECISION = os.environ.get("VCTOOL_BENCH_PRECISION", "auto")
SECONDS = float(os.environ.get("VCTOOL_BENCH_SECONDS", "10"))
CONFS = os.environ.get("VCTOOL_BENCH_CONFS", "default published").split()
SENTENCES = 12
TARGET = 3
LIMITS = {"griffin_lim": 0.1, "istft": 0.05}
"""Most that a conversion through a vocoder should take, over the recording's length."""
V1_AT_200 = {"upsample_rates": [10, 5, 2, 2], "upsample_kernel_sizes": [20, 11, 4, 4]}
"""HiFi-GAN V1 for a hop of 200 samples instead of 256."""
PUBLISHED_BATCH = 4
"""Clips of either voice."""
FRAMES, BINS = 128, 128
ADVERSARIAL, PRIOR, CYCLE_PRIOR, PIXELS, MATCH = 10.0, 0.1, 0.1, 100.0, 10.0


class Residual(nn.Module):
    """Two convolutions over the mirrored plane, each instance-normalised, added to the input."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(128, 128, 3), nn.Conv2d(128, 128, 3)
        self.norm = nn.InstanceNorm2d(128)

    def forward(self, x: Tensor) -> Tensor:
        mirror = (1, 1, 1, 1)
        y = F.relu(self.norm(self.first(F.pad(x, mirror, "reflect"))))
        return x + self.norm(self.second(F.pad(y, mirror, "reflect")))


class Encoder(nn.Sequential):
    """(B, 1, M, F) to latent means (B, 128, M / 4, F / 4)."""

    def __init__(self, blocks: int) -> None:
        super().__init__(
            nn.ReflectionPad2d(3),
            *(nn.Conv2d(1, 32, 7), nn.InstanceNorm2d(32), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(32, 64, 4, 2, 1), nn.InstanceNorm2d(64), nn.ReLU()),
            *(nn.Conv2d(64, 128, 4, 2, 1), nn.InstanceNorm2d(128), nn.ReLU()),
            *(Residual() for _ in range(blocks)),
        )


class Decoder(nn.Module):
    """Latents back to (B, 1, M, F): the block that all voices share, then the voice's own."""

    def __init__(self, shared: Residual, blocks: int) -> None:
        super().__init__()
        self.shared = shared
        self.own = nn.Sequential(
            *(Residual() for _ in range(blocks)),
            *(nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.InstanceNorm2d(64), nn.LeakyReLU(0.2)),
            *(nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.InstanceNorm2d(32), nn.LeakyReLU(0.2)),
            *(nn.ReflectionPad2d(3), nn.Conv2d(32, 1, 7), nn.Tanh()),
        )

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.own(self.shared(z))
        return made


class Judge(nn.Sequential):
    """A PatchGAN: (B, 1, M, F) to (B, 1, M / 16, F / 16)."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [nn.Conv2d(1, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
        for width in (64, 128, 256):
            layers += [nn.Conv2d(width, 2 * width, 4, 2, 1), nn.InstanceNorm2d(2 * width)]
            layers += [nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(512, 1, 3, 1, 1))


class Published:
    """The published training of two voices.

    Args:
        encoder_blocks: residual blocks of the encoder, 4 in the paper's code.
        decoder_blocks: residual blocks of a decoder besides the shared one, 3 in the paper's code.
    """

    def __init__(self, encoder_blocks: int, decoder_blocks: int) -> None:
        self.encoder, self.shared = Encoder(encoder_blocks), Residual()
        self.decoders = [Decoder(self.shared, decoder_blocks) for _ in range(2)]
        self.judges = [Judge() for _ in range(2)]
        self.networks = [self.encoder, *self.decoders, *self.judges]
        self.adams = [self._adam(network.parameters()) for network in self.networks]
        self.shared_steps = 0

    @staticmethod
    def _adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Adam:
        return torch.optim.Adam(parameters, 1e-4, (0.5, 0.999))

    def batch(self, clips: tuple[Tensor, Tensor]) -> None:
        """Train on a batch of both voices, each (B, 1, M, F), as published: twice."""
        self.local((0, 1), clips)
        self.local((1, 0), clips[::-1])

    def local(self, order: tuple[int, int], clips: tuple[Tensor, ...]) -> None:
        """Take one of the two steps of a batch: voices `order` and their clips."""
        decoders = [self.decoders[index] for index in order]
        judges = [self.judges[index] for index in order]
        means, latents = zip(*(self._encode(x) for x in clips), strict=True)
        again = [decode(z) for decode, z in zip(decoders, latents, strict=True)]
        fakes = [decode(z) for decode, z in zip(decoders, latents[::-1], strict=True)]
        fake_means, fake_latents = zip(*(self._encode(x) for x in fakes), strict=True)
        back = [decode(z) for decode, z in zip(decoders, fake_latents[::-1], strict=True)]
        loss = MATCH * F.l1_loss(means[0].mean(dim=0), means[1].mean(dim=0))
        for index in range(2):
            score = judges[index](fakes[index])
            loss = loss + ADVERSARIAL * F.mse_loss(score, torch.ones_like(score))
            loss = loss + PRIOR * means[index].square().mean()
            loss = loss + CYCLE_PRIOR * fake_means[index].square().mean()
            loss = loss + PIXELS * F.l1_loss(again[index], clips[index])
            loss = loss + PIXELS * F.l1_loss(back[index], clips[index])
        self._clear()
        loss.backward()
        for index in (0, *(1 + place for place in order)):
            self.adams[index].step()
            self.shared_steps += index > 0
        self._clear()
        for index in range(2):
            true, false = judges[index](clips[index]), judges[index](fakes[index].detach())
            loss = F.mse_loss(true, torch.ones_like(true))
            loss = loss + F.mse_loss(false, torch.zeros_like(false))
            loss.backward()
            self.adams[3 + order[index]].step()

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.encoder(x)
        return mean, mean + torch.randn_like(mean)

    def _clear(self) -> None:
        for adam in self.adams:
            adam.zero_grad()


def count(network: nn.Module) -> int:
    """Count the parameters of a network."""
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_reference_is_of_the_published_size() -> None:
    """Sizes as counted in the published code, and the shared block stepped four times a batch."""
    made = Published(encoder_blocks=4, decoder_blocks=3)
    sizes = [count(network) for network in made.networks]
    assert sizes == [1_346_304, 1_346_177, 1_346_177, 2_759_105, 2_759_105]
    clips = torch.rand(2, 1, 1, BINS, FRAMES)
    moved = []
    for adam in made.adams:
        adam.register_step_post_hook(
            lambda *_: moved.append(float(made.shared.first.weight.detach().sum()))
        )
    made.batch((clips[0], clips[1]))
    assert made.shared_steps == 4
    assert len(set(moved)) == 5  # as it was, and after each of four
    assert made.judges[0](clips[0]).shape == (1, 1, 8, 8)


class Voices(NamedTuple):
    """Two speakers' features, and the settings that they are of."""

    features: FeatureConfig
    sets: dict[str, FeatureSet]
    context: Context
    waves: list[np.ndarray]
    """Recordings of the first."""


@pytest.fixture(scope="module")
def voices(sentences: Callable[..., list[Utterance]]) -> Voices:
    """A woman and a man of VCC2016, analysed."""
    config = build(FeatureConfig, read_yaml(PROJECT_ROOT / "conf/features/16k_mel128.yaml"), "")
    sets, domains, waves = {}, {}, []
    for role in ("SF1", "TM3"):
        arrays: dict[str, dict[str, np.ndarray]] = {"mel": {}, "pitch": {}}
        for one in sentences(role, SENTENCES):
            wave = one.load(config.rate)
            known = scan(ArrayTrack(wave), config, tuple(arrays), len(wave))
            for kind, made in voice_features(wave, tuple(arrays), config, known).items():
                arrays[kind][one.id] = made
            waves += [wave] if role == "SF1" else []
        contours = [made[:, 0] for made in arrays["pitch"].values()]
        domains[role] = stats.estimate(contours, *stats.f0_range(contours, config))
        own = dict.fromkeys(arrays["mel"], role)
        sets[role] = FeatureSet.from_arrays(arrays, own, own)
    context = Context(
        features=config, vocoder="griffin_lim", roles=tuple(sets), speakers=domains, domains=domains
    )
    return Voices(config, sets, context, waves)


def set_up(conf: str, voices: Voices) -> tuple[System, TrainConfig]:
    """Build conf/vae_gan/<conf>.yaml for the two speakers."""
    tree = read_yaml(PROJECT_ROOT / f"conf/vae_gan/{conf}.yaml")
    cls = family("vae_gan")
    torch.manual_seed(0)
    system = cls(build(cls.Config, tree["model"], conf), voices.context)
    data: Any = cls.dataset(system.config, voices.context, voices.sets, 4, 0)
    system.setup(data.setup_batch())
    return system, build(TrainConfig, tree["train"], conf)


def test_clips_per_second(
    voices: Voices,
    training: Callable[..., Any],
    measured: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Target: three times the clips per second of the published formulation, on the same CPU."""
    torch.set_num_threads(THREADS)
    system, settings = set_up("published", voices)
    settings = settings.model_copy(update={"precision": PRECISION, "batch_size": BATCH})
    config: Any = system.config
    theirs = Published(config.encoder_blocks, config.decoder_blocks)
    ours_too: Any = system
    assert count(theirs.shared) == count(ours_too.shared)
    assert count(theirs.encoder) == count(ours_too.encoder.layers)
    assert count(theirs.decoders[0]) - count(theirs.shared) == count(ours_too.decoders[0])
    assert count(theirs.judges[0]) == count(ours_too.discriminators[0])
    draw = partial(type(system).dataset, system.config, voices.context, voices.sets)
    drawn = draw(PUBLISHED_BATCH, 0).batch(0)
    clips = [drawn[role].voice[:, None] for role in voices.context.roles]
    assert clips[0].shape == (PUBLISHED_BATCH, 1, BINS, FRAMES)
    ours = training(system, settings, draw(BATCH, 0))
    works: dict[str, Callable[[], object]] = {
        "published": lambda: theirs.batch((clips[0], clips[1])),
        "ours": ours.step,
    }
    least = measured(works, ROUNDS).least
    with capsys.disabled():
        arithmetic = "bf16" if uses_bf16(settings, system.device) else "fp32"
        print(f"\ntraining vae_gan, published size, {THREADS} threads; ", end="")
        print(f"ours: {BATCH} clips of either voice in {arithmetic}, published: 4 in fp32")
        for kind in ("wall", "cpu"):
            own = getattr(least["ours"], kind) / (2 * BATCH)
            published = getattr(least["published"], kind) / (2 * PUBLISHED_BATCH)
            print(
                f"  {kind}: {1 / own:.2f} clips per second, published {1 / published:.2f}: ", end=""
            )
            print(f"{published / own:.2f} times as many (target {TARGET})")
    assert not bool(ours.last.bad)


@pytest.fixture(scope="module")
def vocoders(voices: Voices, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Names or paths of vocoders, with the most that conversion through each should take."""
    found = {"griffin_lim": "griffin_lim"}
    for name, changes in (("istft", {}), ("hifigan", V1_AT_200)):
        cls = family(name)
        tree = merge(read_yaml(PROJECT_ROOT / f"conf/{name}/default.yaml"), {"model": changes})
        context = Context(features=voices.features, vocoder="wave", roles=("voices",))
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp(name)
        made = cls(build(cls.Config, tree["model"], name), context)
        checkpoint.save(folder / "checkpoints", made, family=name, step=0)
        found[name] = str(folder)
    return found


def test_conversion(
    voices: Voices,
    vocoders: dict[str, str],
    tmp_path: Path,
    measured: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Targets: real-time factors under 0.1 with Griffin-Lim and 0.05 with istft, on two cores.

    A loaded model, from a recording in memory to one in memory; weights as before training.
    """
    torch.set_num_threads(THREADS)
    samples = round(SECONDS * voices.features.rate)
    wave = np.resize(np.concatenate(voices.waves), samples)
    for conf in CONFS:
        system, _ = set_up(conf, voices)
        folder = tmp_path / conf
        checkpoint.save(folder / "checkpoints", system, family="vae_gan", step=0)
        ready = {name: Converter(folder, "cpu", path) for name, path in vocoders.items()}
        first = ready["griffin_lim"]
        voice, request = ArrayTrack(wave), first.request()
        kinds, known = first.reads, first.scan(voice, request)
        given = voice_features(wave, kinds, voices.features, known)
        works: dict[str, Callable[[], object]] = {
            "analysis": lambda k=kinds, n=known: voice_features(wave, k, voices.features, n),
            "network": lambda c=first, g=given, r=request: c.infer(g, None, r),
            **{
                name: lambda c=one: c.convert(wave, voices.features.rate)
                for name, one in ready.items()
            },
        }
        least = measured(works, ROUNDS).least
        with capsys.disabled():
            print(f"\nconversion of {SECONDS:g} s, {conf}, {THREADS} threads, real-time factors:")
            for name, cost in least.items():
                target = f" (target {LIMITS[name]})" if name in LIMITS else ""
                what = f"all, with {name}" if name in ready else name
                print(f"  {what}: {cost.wall / SECONDS:.4f}, ", end="")
                print(f"{cost.cpu / SECONDS:.4f} of CPU time{target}")
        for one in ready.values():
            made, rate = one.convert(wave, voices.features.rate)
            assert rate == voices.features.rate and len(made) == samples
            assert np.isfinite(made).all()

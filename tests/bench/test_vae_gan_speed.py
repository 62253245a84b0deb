"""Training vae_gan at its published size, beside the published formulation of the same step.

The published step: batches of four clips of either voice in float32, each batch used twice, once in
either order, with fresh noise. Each time everything is encoded, decoded to both voices, encoded
again and decoded back; five optimizers are stepped, and since the decoders' shared block belongs to
two of them it moves four times a batch, twice of them by a gradient that is out of date.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROUNDS = int(os.environ.get("VCTOOL_BENCH_ROUNDS", "3"))
THREADS = int(os.environ.get("VCTOOL_BENCH_THREADS", "2"))
PUBLISHED_BATCH = 4
"""Clips of either voice."""
FRAMES, BINS = 128, 128
ADVERSARIAL, PRIOR, CYCLE_PRIOR, PIXELS, MATCH = 10.0, 0.1, 0.1, 100.0, 10.0


class Residual(nn.Module):
    """Two convolutions over the mirrored plane, each normalised over its instance, and the input."""

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

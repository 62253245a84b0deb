"""The layers and networks of cyclegan_vc against what they claim."""

import pytest
import torch
from torch import nn

from vctool.models.cyclegan_vc.discriminators import FullDiscriminator, PatchDiscriminator
from vctool.models.cyclegan_vc.generators import Generator1d, Generator212d
from vctool.models.cyclegan_vc.layers import InstanceNorm, PixelShuffle1d


def test_pixel_shuffle_interleaves_in_time() -> None:
    """A bare reshape puts channel pairs into the first and second half of time (bug C9)."""
    even, odd = torch.arange(0, 10, 2.0), torch.arange(1, 10, 2.0)
    x = torch.stack([even, odd, -even, -odd])[None]
    made = PixelShuffle1d()(x)
    ramp = torch.arange(10.0)
    torch.testing.assert_close(made[0], torch.stack([ramp, -ramp]))
    # the same as torch's two-dimensional layer on a plane of height one, doubled in both axes
    plane = torch.stack([even, odd, even, odd])[None, :, None]
    torch.testing.assert_close(nn.PixelShuffle(2)(plane)[0, 0, 0], ramp)


def test_instance_norm_is_torchs_own() -> None:
    x = torch.randn(3, 6, 40) * 5 + 2
    torch.testing.assert_close(InstanceNorm(6)(x), nn.InstanceNorm1d(6)(x), rtol=1e-4, atol=1e-4)
    y = torch.randn(3, 6, 7, 9)
    torch.testing.assert_close(InstanceNorm(6)(y), nn.InstanceNorm2d(6)(y), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", [Generator1d, Generator212d])
@pytest.mark.parametrize("masked", [False, True])
def test_generators_keep_every_length(make: type, masked: bool) -> None:
    generator = make(25, width=4, blocks=1, masked=masked)
    for frames in (16, 17, 18, 19, 130):
        assert generator(torch.randn(2, 25, frames)).shape == (2, 25, frames)


@pytest.mark.parametrize("make", [Generator1d, Generator212d])
def test_a_residual_generator_begins_as_the_identity(make: type) -> None:
    x = torch.randn(2, 25, 37)
    torch.testing.assert_close(make(25, width=4, blocks=1, residual=True)(x), x)


@pytest.mark.parametrize("make", [Generator1d, Generator212d])
def test_a_generator_sees_nothing_of_hidden_frames(make: type) -> None:
    generator = make(25, width=4, blocks=1, masked=True)
    x = torch.randn(1, 25, 64)
    mask = torch.ones(1, 1, 64)
    mask[..., 20:40] = 0
    other = x.clone()
    other[..., 20:40] = 7.0
    torch.testing.assert_close(generator(x, mask), generator(other, mask))
    assert not torch.allclose(generator(x), generator(other))


def test_the_published_width_has_the_published_size() -> None:
    """18.3 million parameters in a generator of CycleGAN-VC on 24 mel-cepstra."""
    count = sum(p.numel() for p in Generator1d(24, width=64, blocks=6).parameters())
    assert count == pytest.approx(18.27e6, rel=0.01)


def test_discriminators_do_not_squash() -> None:
    """Least squares wants scores on both sides of 0 and 1; the published sigmoid saturated."""
    x = 100 * torch.randn(8, 25, 128)
    for judge in (FullDiscriminator(25, 128, 8), PatchDiscriminator(8)):
        last = judge.score
        nn.init.normal_(last.weight, std=1.0)
        scores = judge(x)
        assert scores.shape[0] == 8
        assert scores.min() < -0.1
        assert scores.max() > 1.1


def test_a_patch_discriminator_judges_places_apart() -> None:
    judge = PatchDiscriminator(4).eval()
    scores = judge(torch.randn(1, 25, 128))
    assert scores.shape == (1, 7 * 16)

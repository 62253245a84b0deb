"""The Wave-U-Net: the published size, alignment in time, any length, no clamp."""

import pytest
import torch

from vctool.models.vocal_cyclegan.waveunet import WaveUNet, half_band


def test_published_sizes() -> None:
    # Counted on the published code; its frozen resampling taps are buffers here.
    assert _size(WaveUNet(256, 128, (1024, 2048, 4096), 3)) == 158_223_488
    assert _size(WaveUNet(128, 128, (512, 1024, 2048), 3)) == 39_593_600


def _size(net: WaveUNet) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("channels,kernel", [((4, 6), 3), ((4, 6, 8), 5), ((4, 4, 4, 4), 3)])
def test_any_length_in_same_length_out(channels: tuple[int, ...], kernel: int) -> None:
    net = WaveUNet(3, 2, channels, kernel)
    for frames in (1, 2, 3, 7, 64, 257):
        assert net(torch.randn(1, 3, frames)).shape == (1, 2, frames)


def test_output_frame_k_is_centred_on_input_frame_k() -> None:
    # With kernels that are their own mirror image, time has no direction: the mirrored input must
    # give the mirrored output. Taking one frame more context on the left than on the right, as
    # the published padding of 17 and 16 does, shifts every output by a frame and breaks this.
    torch.manual_seed(0)
    net = WaveUNet(2, 2, (4, 6, 8), 3).double()
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim == 3:
                weight.copy_((weight + weight.flip(2)) / 2)
    frames = 4 * 20 + 1  # a length that needs no spare frames on one side
    x = torch.randn(1, 2, frames, dtype=torch.double)
    assert net._lengths(net._bottleneck_for(frames))[0] == frames
    torch.testing.assert_close(net(x.flip(2)), net(x).flip(2))


def test_the_ends_are_not_filled_with_a_level_of_their_own() -> None:
    # The published application padded with 0 dB, its training with -80: a flash at both ends.
    torch.manual_seed(0)
    net = WaveUNet(2, 3, (4, 6, 8), 3)
    out = net(torch.full((1, 2, 50), -80.0))
    torch.testing.assert_close(out, out[..., :1].expand_as(out), rtol=1e-2, atol=1e-3)


def test_train_and_eval_agree_beyond_one() -> None:
    # The published network clamped its dB to [-1, 1] in eval mode.
    net = WaveUNet(2, 2, (4, 6), 3)
    x = 40.0 * torch.randn(1, 2, 50)
    trained = net.train()(x)
    assert trained.abs().max() > 1
    torch.testing.assert_close(net.eval()(x), trained)


def test_resampling_keeps_the_level() -> None:
    net = WaveUNet(1, 1, (1, 1), 3)
    constant = torch.full((1, 1, 41), 3.0)
    torch.testing.assert_close(net._decimate(constant), torch.full((1, 1, 21), 3.0))
    middle = net._interpolate(constant)[..., 20:-20]
    torch.testing.assert_close(middle, torch.full_like(middle, 3.0), rtol=0.01, atol=0)


def test_low_pass_stops_the_upper_half_of_the_band() -> None:
    response = torch.fft.rfft(half_band()[0, 0], 1024).abs()
    assert response[:128].min() > 0.9
    assert response[384:].max() < 0.02

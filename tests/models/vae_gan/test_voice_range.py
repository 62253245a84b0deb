"""What a decoder may write: the range of its voice, from its mean on."""

import torch

from vctool.features.settings import FeatureConfig
from vctool.models.vae_gan import streams
from vctool.models.vae_gan.voice_range import MARGIN, VoiceRange


def test_nothing_leaves_the_range_and_nothing_known_is_out_of_reach() -> None:
    mel = torch.rand(8, 8, 40, generator=torch.Generator().manual_seed(0))
    mel[:, 2] *= 0.3  # a bin that is never loud
    voice = VoiceRange(FeatureConfig(n_mels=8))
    voice.measure(mel)
    torch.testing.assert_close(voice(torch.zeros(1, 8, 1))[0, :, 0], mel.mean(dim=(0, 2)))
    wild = voice(torch.linspace(-1e4, 1e4, 50).expand(1, 8, 50))
    for n in range(8):
        low, high = float(mel[:, n].min()), float(mel[:, n].max())
        assert wild[0, n].min() >= low - MARGIN - 1e-6 and wild[0, n].max() <= high + MARGIN + 1e-6
        assert wild[0, n].min() < low and wild[0, n].max() > high
    # loudest frame of the quiet bin, far from what a louder voice allows
    assert wild[0, 2].max() < 0.4


def test_loudness_of_another_voice_is_brought_into_the_range() -> None:
    """A silence that is quieter than the voice's own is its own: nothing is extrapolated."""
    features = FeatureConfig(n_mels=8, top_db=80)
    level = torch.tensor([0.4, 0.9])  # -48 and -8 dB
    mel = level.repeat(20)[None, None].expand(1, 8, 40)
    torch.testing.assert_close(streams.loudness(mel, 80.0)[0, :2], level)
    voice = VoiceRange(features)
    voice.measure(mel)
    told = voice.within(torch.tensor([[0.0, 0.5, 1.2]]))
    torch.testing.assert_close(told, torch.tensor([[0.4, 0.5, 0.9]]))


def test_no_frame_is_louder_than_was_asked_for() -> None:
    features = FeatureConfig(n_mels=8, top_db=80)
    voice = VoiceRange(features)
    made = 0.6 + 0.1 * torch.rand(2, 8, 30, generator=torch.Generator().manual_seed(1))
    asked = torch.full((2, 30), 0.95)
    torch.testing.assert_close(voice.quieten(made, asked), made)  # louder is not asked of it
    asked[:, 10:20] = 0.3
    quiet = voice.quieten(made, asked)
    torch.testing.assert_close(quiet[..., :10], made[..., :10])
    torch.testing.assert_close(streams.loudness(quiet, 80.0)[:, 10:20], asked[:, 10:20])
    # the colour stays
    shape = made - made.mean(dim=1, keepdim=True)
    torch.testing.assert_close(quiet - quiet.mean(dim=1, keepdim=True), shape)

"""What a decoder may write: the range of its voice, from its mean on."""

import torch

from vctool.models.vae_gan.voice_range import MARGIN, VoiceRange


def test_nothing_leaves_the_range_and_nothing_known_is_out_of_reach() -> None:
    mel = torch.rand(8, 5, 40, generator=torch.Generator().manual_seed(0))
    mel[:, 2] *= 0.3  # a bin that is never loud
    voice = VoiceRange(5)
    voice.measure(mel)
    torch.testing.assert_close(voice(torch.zeros(1, 5, 1))[0, :, 0], mel.mean(dim=(0, 2)))
    wild = voice(torch.linspace(-1e4, 1e4, 50).expand(1, 5, 50))
    for n in range(5):
        low, high = float(mel[:, n].min()), float(mel[:, n].max())
        assert wild[0, n].min() >= low - MARGIN - 1e-6 and wild[0, n].max() <= high + MARGIN + 1e-6
        assert wild[0, n].min() < low and wild[0, n].max() > high
    # loudest frame of the quiet bin, far from what a louder voice allows
    assert wild[0, 2].max() < 0.4

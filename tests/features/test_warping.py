"""Warps: formants move by the factor, and back."""

import numpy as np
import pytest
import torch

from vctool.features.mel import mel_frequencies
from vctool.features.settings import FeatureConfig
from vctool.features.warping import FrequencyWarp

FEATURES = FeatureConfig(rate=16000, n_fft=1024, hop_length=200, n_mels=128)


@pytest.mark.parametrize("hz", [400.0, 1500.0, 3000.0])
@pytest.mark.parametrize("place", [0.0, 0.25, 0.5, 1.0])
def test_a_formant_moves_by_the_factor(hz: float, place: float) -> None:
    centres = mel_frequencies(FEATURES)[1:-1]
    peak = np.exp(-0.5 * ((centres - hz) / (0.1 * hz)) ** 2).astype(np.float32)
    mel = torch.from_numpy(peak)[None, :, None].repeat(2, 1, 3)
    moved = FrequencyWarp(FEATURES, 0.2)(mel, torch.tensor([place, 0.5]))
    weights = moved[0, :, 1].numpy() ** 2
    # peaks are symmetric in Hz, bins are not evenly spaced in it
    spacing = np.gradient(centres)
    found = (weights * spacing * centres).sum() / (weights * spacing).sum()
    assert found == pytest.approx(hz * (0.8 + 0.4 * place), rel=0.01)
    torch.testing.assert_close(moved[1], mel[1])  # each clip has its own factor

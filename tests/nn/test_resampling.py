"""Resampling that gradients go through, beside the reference."""

import math
import subprocess
import sys

import pytest
import torch
from torchaudio.functional import resample as reference

from vctool.nn.resampling import resample

WITHOUT = """
import importlib, pkgutil, sys
sys.modules["torchaudio"] = None
import torch, vctool.inference, vctool.models, vctool.vocoders
from vctool.features.phones import cepstra
assert cepstra(torch.zeros(4410), 44100).shape == (11, 13)
for package in (vctool.inference, vctool.vocoders):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
for family in ("cyclegan_vc", "knn_vc", "vae_gan", "vocal_cyclegan"):
    importlib.import_module(f"vctool.models.{family}.system")
"""


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_it_is_the_reference_to_the_bit(rate: int) -> None:
    wave = torch.randn(2, rate // 4 + 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(resample(wave, rate, 16000), reference(wave, rate, 16000))


def test_a_tone_keeps_its_level_and_what_cannot_be_heard_goes() -> None:
    time = torch.arange(44100, dtype=torch.float64) / 44100
    low, high = (torch.sin(2 * math.pi * hz * time).float() for hz in (1000, 12000))
    kept, gone = (resample(one, 44100, 16000)[4000:-4000] for one in (low, high))
    there = torch.arange(16000, dtype=torch.float64)[4000:-4000] / 16000
    assert (kept - torch.sin(2 * math.pi * 1000 * there)).abs().max() < 0.01
    assert gone.abs().max() < 0.01


def test_gradients_go_through() -> None:
    wave = torch.randn(1, 300, requires_grad=True)
    resample(wave, 22050, 16000).square().sum().backward()
    assert wave.grad is not None and (wave.grad[0, 20:-20] != 0).all()


def test_converting_imports_no_torchaudio() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT], check=True)

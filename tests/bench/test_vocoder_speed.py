"""Vocoders from features to sound on one thread: `direct` beside WORLD and Griffin-Lim.

Target: `direct` in a real-time factor of 0.05, with the pitch moved by five semitones and an
envelope that differs in every frame. It analyses the source's envelope anew, which is most of it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from vctool import vocoders
from vctool.audio.tracks import ArrayTrack
from vctool.features.analysis import scan, voice_features
from vctool.features.base import Features
from vctool.features.settings import FeatureConfig

SENTENCES = 8
NAMES = ("world", "griffin_lim", "direct")
TARGET = 0.05


def test_vocoder_speed(
    sentences: Callable[..., Any],
    speech_features: FeatureConfig,
    measured: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.set_num_threads(1)
    config, kinds = speech_features, ("mel", "world", "pitch", "wave")
    random = np.random.default_rng(0)
    inputs: list[tuple[Features, int]] = []
    for one in sentences("SF1", SENTENCES):
        wave = one.load(config.rate)
        known = scan(ArrayTrack(wave), config, kinds, len(wave))
        features = voice_features(wave, kinds, config, known)
        features["world"][:, 0] *= 2 ** (5 / 12)
        features["world"][:, 2:20] += 0.05 * random.standard_normal((len(features["world"]), 18))
        inputs.append((features, len(wave)))
    made = {name: vocoders.get(name, config) for name in NAMES}

    def synthesise(name: str) -> None:
        for features, samples in inputs:
            assert np.isfinite(made[name].synthesise(features, config, samples)).all()

    works = {name: lambda name=name: synthesise(name) for name in NAMES}
    costs = measured(works, 2)
    seconds = sum(samples for _, samples in inputs) / config.rate
    with capsys.disabled():
        print(f"\nfeatures to sound, {SENTENCES} sentences, {seconds:.0f} s, one thread:")
        for name, cost in costs.least.items():
            print(f"  {name}: real-time factor {cost.cpu / seconds:.4f}")
        print(f"  direct: target {TARGET}; {costs.ratio('direct', 'world')} than world")

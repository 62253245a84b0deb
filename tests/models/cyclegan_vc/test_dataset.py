"""What cyclegan_vc draws its batches from."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from vctool import audio
from vctool.data.datadir import DataDir, Utterance
from vctool.experiment import recipe
from vctool.features import world
from vctool.models.base import family
from vctool.models.cyclegan_vc import streams
from vctool.stages import features
from vctool.training import setup

RATE = 16000
SPEAKERS = {"low": 110.0, "high": 220.0}
"""Speakers and their F0 [Hz]."""
SENTENCES = 3


def vowel(f0: float, seconds: float) -> np.ndarray:
    """Harmonics under a resonance, with a slow glide."""
    place = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(f0 * 2 ** (0.2 * np.sin(5 * place))) / RATE
    orders = range(1, int(4000 / f0))
    wave = sum(np.sin(k * phase) / (1 + ((k * f0 - 700) / 300) ** 2) for k in orders)
    return np.asarray(0.1 * wave, dtype=np.float32)


@pytest.fixture
def analysed(workdir: Path) -> recipe.Recipe:
    """A recipe for two speakers whose features are computed."""
    known = []
    for speaker, f0 in SPEAKERS.items():
        for index in range(SENTENCES):
            name, seconds = f"{speaker}-{index}", 0.5 + 0.3 * index
            soundfile.write(workdir / f"{name}.wav", vowel(f0, seconds), RATE)
            wav = workdir / f"{name}.wav"
            known.append(Utterance(name, speaker, "speech", wav=wav, duration=seconds))
    tree: dict[str, Any] = {
        "family": "cyclegan_vc",
        "name": "voices",
        "corpus": {"name": "voices", "source": "low", "target": "high"},
        "features": "conf/features/16k_mcep.yaml",
        "vocoder": "world",
        "model": {"segment_frames": 64},
        "train": {"batch_size": 4},
    }
    loaded = recipe.resolve(tree, "test")
    DataDir(loaded.data("voices", "train"), tuple(known)).write()
    features.run(loaded)
    return loaded


class Counted:
    """Counts the calls of functions that are replaced by themselves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        self._patch = monkeypatch

    def watch(self, owner: Any, name: str) -> None:
        own: Callable[..., Any] = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            return own(*args, **kwargs)

        self._patch.setattr(owner, name, counted)


def test_two_epochs_of_batches_analyse_nothing(
    analysed: recipe.Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published code analysed every recording again in every epoch (bug C7)."""
    sets = setup.open_sets(analysed, ("world",), "train")
    cls = family("cyclegan_vc")
    data = cls.dataset(cls.Config(segment_frames=64), setup.context(analysed, sets), sets, 4, 0)
    counted = Counted(monkeypatch)
    counted.watch(world, "analyse")
    counted.watch(world, "estimate_f0")
    counted.watch(audio, "read")
    counted.watch(streams, "spectrum")
    drawn: Counter[str] = Counter()
    clips = []
    step = 0
    while len(drawn) < len(SPEAKERS) * SENTENCES or min(drawn.values()) < 2:
        clips.append(data.batch(step))
        drawn.update(data.names(step))
        step += 1
        assert step < 200, drawn
    assert not counted.calls["analyse"] + counted.calls["estimate_f0"] + counted.calls["read"]
    assert counted.calls["spectrum"] == len(drawn)  # once each, and then kept
    # The second time is not the same crop: that was kept too in the published code.
    voices = np.concatenate([clip["high"].voice.numpy() for clip in clips])
    assert len(np.unique(voices, axis=0)) > len(voices) // 2

    world.analyse(vowel(110.0, 0.2), analysed.features)
    assert counted.calls["analyse"] == 1, "what is counted is what analyses"

"""Write samples during training: a conversion of one held-out recording per direction.

With two roles, both directions are sampled; with more, every role is converted to the next one, so
that there are as many samples as roles, up to `MOST`, those from and to added roles first. The
single role of a vocoder is converted to itself.

exp/<name>/samples/step-00001000-speech-to-singing.wav
                   step-00001000-speech-to-singing.png
"""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vctool import audio, temporary, vocoders
from vctool.data.feature_set import FeatureSet
from vctool.features.base import Features, accompaniment_kinds, voice_kinds
from vctool.metrics.sanity import oddities
from vctool.models.base import Condition, System

logger = logging.getLogger(__name__)

SECONDS = 6.0
"""Length of a sample; longer recordings are cut."""

MOST = 6
"""Most directions that are sampled; each takes seconds at every validation."""


class Source(NamedTuple):
    """The input of one direction."""

    origin: str
    target: str
    name: str
    features: Features
    condition: Condition


class Samples:
    """The hook that training calls after each validation.

    Args:
        out: folder of the samples.
        sets: held-out utterances of every role; the first one is used.
        system: tells which directions need an accompaniment.
    """

    def __init__(self, out: Path, sets: Mapping[str, FeatureSet], system: System) -> None:
        self.out = out
        self.features = system.context.features
        self.vocoder = vocoders.get(system.context.vocoder, self.features)
        self._reads = voice_kinds(system.reads(system.config))
        self._sources = [
            source
            for origin, target in ring(system.context.roles, system.context.added)
            if (source := self._choose(origin, target, sets, system)) is not None
        ]

    def __call__(self, system: System, step: int) -> None:
        """Write a wave and a spectrogram of each direction, and warn of faulty samples."""
        for source in self._sources:
            read = {kind: source.features[kind] for kind in self._reads}
            converted = system.convert(read, source.condition, source.target)
            before, after = (self._sound(made, source.features) for made in ({}, converted))
            title = f"{source.origin} to {source.target}"
            path = self.out / f"step-{step:08d}-{source.origin}-to-{source.target}.wav"
            for oddity in oddities(after, before):
                logger.warning("step %d, %s, %s: the sample is %s", step, title, path, oddity)
            if np.isfinite(after).all():
                audio.write(path, after, self.features.rate)
                caption = f"{source.name}: {title}, step {step}"
                draw(path.with_suffix(".png"), before, after, self.features.rate, caption)

    def _choose(
        self, origin: str, target: str, sets: Mapping[str, FeatureSet], system: System
    ) -> Source | None:
        """Take the first utterance, and the first accompaniment where the direction needs one."""
        held, frames = sets[origin], self.features.frames(int(SECONDS * self.features.rate))
        name = held.ids[0]
        features = {kind: held.load(name, kind)[:frames] for kind in voice_kinds(held.kinds)}
        if not system.needs_accompaniment(system.config, target):
            return Source(origin, target, name, features, Condition(options=system.Options()))
        kinds = accompaniment_kinds(sets[target].kinds)
        able = [n for n in sets[target].ids if all(sets[target].has(n, kind) for kind in kinds)]
        if not kinds or not able:
            logger.warning("no sample of %s to %s: no held-out accompaniment", origin, target)
            return None
        count = len(next(iter(features.values())))
        condition = {
            kind: np.resize(sets[target].load(able[0], kind), (count, width))
            for kind in kinds
            for width in [sets[target].load(able[0], kind).shape[1]]
        }
        return Source(
            origin, target, name, features, Condition(condition, options=system.Options())
        )

    def _sound(self, written: Features, source: Features) -> np.ndarray:
        """Synthesise the written features; kinds that are not written are the source's."""
        features = vocoders.given(self.vocoder, written, source)
        frames = len(features[self.vocoder.reads[0]])
        samples = max((frames - 1) * self.features.hop_length, 1)
        return self.vocoder.synthesise(features, self.features, samples)


def ring(roles: Sequence[str], first: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Pair every role with the next one, up to `MOST` pairs; those with a `first` role go first.

    >>> ring(["a", "b"]), ring(["a", "b", "c"]), ring(["voices"])
    ([('a', 'b'), ('b', 'a')], [('a', 'b'), ('b', 'c'), ('c', 'a')], [('voices', 'voices')])
    >>> ring("abcdefghi", first="i")
    [('h', 'i'), ('i', 'a'), ('a', 'b'), ('b', 'c'), ('c', 'd'), ('d', 'e')]
    """
    pairs = list(zip(roles, [*roles[1:], *roles[:1]], strict=True))
    return sorted(pairs, key=lambda pair: not set(first).intersection(pair))[:MOST]


def draw(path: Path, before: np.ndarray, after: np.ndarray, rate: int, title: str) -> None:
    """Write the spectrograms of an input and an output, one above the other, as a PNG.

    Args:
        path: the file, replaced atomically.
        before: (T,) the input.
        after: (T,) the output.
        rate: their sampling rate [Hz].
        title: the title of the figure.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for place, (name, wave) in enumerate({"input": before, "output": after}.items(), 1):
        axes = figure.add_subplot(2, 1, place)
        # -120 dB of noise: specgram takes logarithms, and a wave may hold exact zeros
        faint = wave + 1e-6 * np.random.default_rng(0).standard_normal(len(wave))
        padded = np.pad(faint, (0, max(0, 1024 - len(faint))))
        axes.specgram(padded, NFFT=1024, Fs=rate, noverlap=768, vmin=-140, cmap="magma")
        axes.set(ylabel=f"{name} [Hz]", ylim=(0, min(rate / 2, 8000)))
    axes.set_xlabel("time [s]")
    beside = temporary.beside(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(beside, format="png", dpi=100)
    os.replace(beside, path)

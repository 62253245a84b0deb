"""Analysis and synthesis of recordings by a vocoder, with timing."""

import time
from collections.abc import Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from vctool import vocoders
from vctool.audio.tracks import ArrayTrack
from vctool.data.utterance import Utterance
from vctool.errors import DataError
from vctool.features.analysis import scan, voice_features
from vctool.features.settings import FeatureConfig
from vctool.metrics.base import Each, serially

WARM_SECONDS = 0.5
"""Sound that a process makes before its time counts [s]: the first is spent on preparations."""


class Copy(NamedTuple):
    """A recording after analysis and synthesis."""

    wave: np.ndarray
    """(T,) float32, as long as the recording, at the rate of the features."""
    seconds: float
    """Processor time from features to sound [s], on one thread."""


def features_for(vocoder: str, given: FeatureConfig) -> FeatureConfig:
    """Return the features that a vocoder reads: those of its weights, or else the given ones.

    Raises:
        ConfigError: it cannot turn the given ones into sound.
        CheckpointError: there are no such weights.
    """
    chosen = vocoders.get(vocoder, given)
    config = given if chosen.features is None else chosen.features
    chosen.accepts(config, chosen.reads)
    return config


def copy_wave(wave: np.ndarray, vocoder: str, config: FeatureConfig) -> Copy:
    """Send a wave (T,) at the config's rate through a vocoder."""
    chosen = vocoders.get(vocoder, config)
    known = scan(ArrayTrack(wave), config, chosen.reads, len(wave))
    features = voice_features(wave, chosen.reads, config, known)
    begin = time.process_time()
    made = chosen.synthesise(features, config, len(wave))
    return Copy(np.asarray(made, np.float32), time.process_time() - begin)


def copy_waves(
    waves: Sequence[np.ndarray], vocoder: str, config: FeatureConfig, each: Each = serially
) -> list[Copy]:
    """Send waves through a vocoder, in order, each on one thread.

    Args:
        waves: each (T,) at the config's rate.
        vocoder: a name or a path.
        config: the features that it reads.
        each: applies a function to every wave, on processes where it has any; the sound does not
            depend on them.
    """
    import torch

    threads = torch.get_num_threads()
    try:
        return each(partial(_timed, vocoder=vocoder, config=config), waves)
    finally:
        torch.set_num_threads(threads)  # where it was done in this process


def load(utterances: Sequence[Utterance], rate: int) -> list[np.ndarray]:
    """Read recordings at a rate [Hz].

    Raises:
        AudioError: one cannot be used.
        DataError: one is silent, so that there is nothing to compare.
    """
    waves = [one.load(rate) for one in utterances]
    for one, wave in zip(utterances, waves, strict=True):
        if not np.any(wave):
            raise DataError(
                f"{one.wav}: silent, so that no vocoder can be judged by it; leave it out"
            )
    return waves


def _timed(wave: np.ndarray, vocoder: str, config: FeatureConfig) -> Copy:
    """Send a wave through a vocoder on one thread, once this process is ready for it."""
    import torch

    torch.set_num_threads(1)
    _warm(vocoder, config)
    return copy_wave(wave, vocoder, config)


@cache
def _warm(vocoder: str, config: FeatureConfig) -> None:
    """Warm up this process: do the work that is done only once."""
    noise = np.random.default_rng(0).standard_normal(round(WARM_SECONDS * config.rate))
    copy_wave((0.1 * noise).astype(np.float32), vocoder, config)

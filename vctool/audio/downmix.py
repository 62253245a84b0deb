"""How many channels become one, so that no voice is lost on the way.

The mean of all channels is right for almost every recording. It is wrong where channels cancel (one
of them inverted by a cable or a phone's noise cancelling, karaoke with its centre removed), and too
soft where some carry nothing (one dead channel, 5.1 with a voice in the centre alone).
"""

from dataclasses import dataclass

import numpy as np

DEAD_DB = 40.0
"""A channel that is softer than the strongest by this carries nothing [dB]."""

CANCELLED_DB = 3.0
"""How far the mean of channels may lie below that of as many unrelated ones [dB]."""

JUDGED_SECONDS = 0.1
"""In less than this, channels are alike or unlike by chance [s]."""


@dataclass(frozen=True)
class Downmix:
    """Which channels are averaged."""

    channels: tuple[int, ...]
    """0-based; their mean is the mono signal."""
    reason: str = ""
    """Why they are not all of them, in a few words; empty where they are."""

    def apply(self, wave: np.ndarray) -> np.ndarray:
        """Mix (T, C) down to (T,)."""
        if len(self.channels) == wave.shape[1]:
            mono: np.ndarray = wave.mean(axis=1)
            return mono
        if len(self.channels) == 1:
            return wave[:, self.channels[0]]
        chosen: np.ndarray = wave[:, self.channels].mean(axis=1)
        return chosen


class DownmixMeter:
    """Judges channels that arrive in blocks; offsets of channels (DC) count for nothing.

    Args:
        channels: number of channels, C.
        rate: sampling rate [Hz].
    """

    def __init__(self, channels: int, rate: int) -> None:
        self._rate = rate
        self._samples = 0
        self._sum = np.zeros(channels)
        self._products = np.zeros((channels, channels))

    def add(self, block: np.ndarray) -> None:
        """Take the next samples, (T, C)."""
        block = np.asarray(block, np.float64)
        self._samples += len(block)
        self._sum += block.sum(axis=0)
        self._products += block.T @ block

    @property
    def downmix(self) -> Downmix:
        """What is to be averaged: all channels, unless that would lose what is in them."""
        everything = Downmix(tuple(range(len(self._sum))))
        if self._samples < JUDGED_SECONDS * self._rate:
            return everything
        mean = self._sum / self._samples
        covariance = self._products / self._samples - np.outer(mean, mean)
        power = np.diagonal(covariance)
        strongest = int(np.argmax(power))
        if not np.isfinite(power).all() or power[strongest] <= 0:
            return everything
        live = tuple(np.flatnonzero(power > power[strongest] * 10 ** (-DEAD_DB / 10)).tolist())
        unrelated = power[list(live)].sum() / len(live) ** 2
        mixed = covariance[np.ix_(live, live)].sum() / len(live) ** 2
        if mixed < unrelated * 10 ** (-CANCELLED_DB / 10):
            return Downmix((strongest,), "its channels cancel one another")
        if len(live) < len(power):
            return Downmix(live, "the others carry nothing")
        return everything


def downmix_of(wave: np.ndarray, rate: int) -> Downmix:
    """Judge a whole recording, (T, C), at a rate [Hz]."""
    meter = DownmixMeter(wave.shape[1], rate)
    meter.add(wave)
    return meter.downmix


def told(choice: Downmix, channels: int) -> str:
    """Say which of so many channels are taken and why: `channel 2 of 2 is taken: ...`."""
    numbers = " and ".join(str(channel + 1) for channel in choice.channels)
    what = "channel {} of {} is" if len(choice.channels) == 1 else "channels {} of {} are"
    return f"{what.format(numbers, channels)} taken: {choice.reason}"

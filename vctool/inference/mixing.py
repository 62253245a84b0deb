"""The mix of a converted voice with its accompaniment, as a producer would lay one over the other.

The accompaniment keeps its channels, its sampling rate and its level; the voice is laid into the
middle at that level. Gains of both come on top. A mix that would clip is lowered as a whole.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vctool import audio
from vctool.audio.loudness import PEAK, SILENCE_DB, matching_gain
from vctool.audio.resampling import resample_stream
from vctool.audio.tracks import CHUNK_SECONDS, Looped, SpoolTrack, Track, pieces
from vctool.experiment.recipe import ConvertConfig
from vctool.inference.limits import GAIN_RANGE, require_range

logger = logging.getLogger(__name__)

SIDES = 2
"""Channels of every mix: left and right."""


@dataclass(frozen=True)
class Gains:
    """What is added to the levels of a mix."""

    vocal_db: float
    """Level of the voice over the accompaniment's own level [dB]."""
    accomp_db: float
    """Gain of the accompaniment over its own level [dB]."""


def require_gains(vocal_db: float | None, accomp_db: float | None) -> None:
    """Refuse gains that are out of range; None is the recipe's.

    Raises:
        ConfigError: a gain is out of range or NaN.
    """
    for name, gain in (("vocal-gain", vocal_db), ("accomp-gain", accomp_db)):
        if gain is not None:
            require_range(name, gain, GAIN_RANGE)


def gains(settings: ConvertConfig, vocal_db: float | None, accomp_db: float | None) -> Gains:
    """Return the gains that are asked for, or those of a model's recipe where None."""
    return Gains(
        settings.vocal_gain_db if vocal_db is None else vocal_db,
        settings.accomp_gain_db if accomp_db is None else accomp_db,
    )


@dataclass(frozen=True)
class Mix:
    """How every mix of a run is made."""

    backing: "Backing"
    offset: float
    """Time in the accompaniment at which the voice enters [s]."""
    gains: Gains


@dataclass(frozen=True)
class Backing:
    """An accompaniment as it is mixed: left and right at the mix's sampling rate."""

    sides: tuple[Track, ...]
    """One track for both sides, or two."""
    rate: int
    """Sampling rate of the mix [Hz]: its own, or the model's where that is higher."""

    def under(self, samples: int, offset_seconds: float) -> tuple[Looped, ...]:
        """Loop or cut it to the length of a voice, (samples,) at `rate`."""
        offset = round(offset_seconds * self.rate)
        return tuple(Looped(side, samples, offset) for side in self.sides)


def open_backing(path: Path, model_rate: int, folder: Path, stack: ExitStack) -> Backing:
    """Decode an accompaniment once, into nameless temporary files.

    Args:
        path: the file; of more than two channels their downmix is taken.
        model_rate: sampling rate of the voice [Hz].
        folder: where the temporary files lie.
        stack: what closes them.

    Raises:
        AudioError: it cannot be read, or the folder cannot be written to.
    """
    own = audio.info(path)
    rate = max(own.rate, model_rate)
    channels: Sequence[int | None] = (0, 1) if own.channels == SIDES else (None,)
    if own.channels > SIDES:
        logger.info("%s: the downmix of its %d channels is mixed", path, own.channels)
    sides = []
    for channel in channels:
        side = stack.enter_context(SpoolTrack(folder))
        samples = round(CHUNK_SECONDS * rate)
        for block in audio.read_blocks(path, rate, samples=samples, channel=channel):
            side.append(block)
        sides.append(side)
    return Backing(tuple(sides), rate)


def write_mix(
    path: Path, voice: Track, model_rate: int, level_db: float, gain: float, mix: Mix
) -> None:
    """Write the mix of a voice and its accompaniment, stereo, and say how it was made.

    Args:
        path: the file.
        voice: the converted voice at the model's rate.
        model_rate: the model's rate [Hz].
        level_db: active level of `voice` [dB of full scale].
        gain: of `voice` in its own output, which it keeps under a silent accompaniment.
        mix: the accompaniment, and how both are laid together.

    Raises:
        AudioError: the file cannot be written.
    """
    rate, gains = mix.backing.rate, mix.gains
    chunk = round(CHUNK_SECONDS * rate)
    with SpoolTrack(path.parent) as sung:
        for wave in resample_stream(pieces(voice, chunk), model_rate, rate):
            sung.append(wave)
        sides = mix.backing.under(sung.samples, mix.offset)
        backing_db = level_of(sides, rate, chunk)
        vocal, accomp = (10 ** (db / 20) for db in (gains.vocal_db, gains.accomp_db))
        silent = SILENCE_DB in (backing_db, level_db)  # there is no level to be matched to
        vocal *= gain if silent else matching_gain(level_db, backing_db)

        def mixed() -> Iterator[np.ndarray]:
            for start in range(0, sung.samples, chunk):
                stop = min(start + chunk, sung.samples)
                middle = vocal * sung.read(start, stop)
                both = [middle + accomp * side.read(start, stop) for side in sides]
                yield np.stack([both[0], both[-1]], axis=1).astype(np.float32)

        peak = max(float(np.abs(wave).max()) for wave in mixed())
        master = min(1.0, PEAK / peak) if peak > 0 else 1.0
        with audio.AudioWriter(path, rate, SIDES, durable=True) as file:
            for wave in mixed():
                file.write(master * wave)
    lowered = f", all {-20 * np.log10(master):.1f} dB softer so as not to clip" * (master < 1)
    logger.info(
        "%s: stereo, %d Hz; the voice %+.1f dB and the accompaniment %+.1f dB against the level of "
        "the accompaniment%s",
        *(path, rate, gains.vocal_db, gains.accomp_db, lowered),
    )


def level_of(sides: Sequence[Track], rate: int, chunk: int) -> float:
    """Return the mean active level of the channels [dB of full scale]."""
    powers = []
    for side in sides:
        meter = audio.LevelMeter(rate)
        for wave in pieces(side, chunk):
            meter.add(wave)
        powers.append(10 ** (meter.level_db / 10))
    return max(SILENCE_DB, float(10 * np.log10(np.mean(powers))))

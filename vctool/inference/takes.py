"""Collects and writes the output of a recording for one target.

An output's level is known only at its end, so it is kept in a temporary file until then.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import Literal

import numpy as np

from vctool import audio
from vctool.audio.loudness import PEAK
from vctool.audio.resampling import resample_stream
from vctool.audio.tracks import CHUNK_SECONDS, SpoolTrack, Track, pieces
from vctool.features.analysis import Scan
from vctool.inference import account
from vctool.inference.converter import Converter
from vctool.inference.loudness import level_gain
from vctool.inference.mixing import Mix, write_mix
from vctool.inference.outputs import Output
from vctool.inference.request import Request
from vctool.inference.sides import Blend, Own, Sides, measured
from vctool.inference.stereo import restored
from vctool.inference.watch import Watch


@dataclass(frozen=True)
class Format:
    """Settings for writing outputs."""

    rate: int | Literal["input"]
    """Sampling rate [Hz], or the input's."""
    mix: Mix | None
    """How the mix is made; None where none is wanted."""
    sides: Sides
    """What of the recordings outputs keep."""


@dataclass
class Take:
    """The conversion of a recording to one target, in progress."""

    request: Request
    output: Output
    accomp: Track | None
    voice: SpoolTrack
    meter: audio.LevelMeter
    own: Own
    """What of the recording is kept."""
    peak: float = 0.0

    def add(self, wave: np.ndarray) -> None:
        """Append the next piece (T,)."""
        if len(wave):
            self.voice.append(wave)
            self.meter.add(wave)
            self.peak = max(self.peak, float(np.abs(wave).max()))


def finish(
    converter: Converter,
    take: Take,
    known: Scan,
    form: Format,
    source: audio.LevelMeter,
    watch: Watch,
) -> None:
    """Write a finished output, as loud as the input, and its mix if wanted, and say what came out.

    Args:
        converter: the model.
        take: all that was converted.
        known: the scan of the source.
        form: how it is written.
        source: has measured the source.
        watch: asks, piece by piece, whether the output is still wanted.
    """
    output, voice, samples = take.output, watch.track(take.voice), take.voice.samples
    level = take.meter.level_db
    kept = level if converter.streams(take.request) else None
    gain = level_gain(known, level, take.peak, kept)
    if form.rate == "input":  # exactly the input's length, not that of resampling it twice
        own = audio.measure(output.source)
        rate, length = own.rate, take.request.samples(own.samples)
    else:
        rate = form.rate
        length = audio.resampled_length(samples, converter.rate, rate)
    chunk = round(CHUNK_SECONDS * converter.rate)
    sounding: Track = voice
    if take.own.dry:
        sounding = Blend(voice, gain, watch.track(take.own.voice), take.own.dry)
        level, peak = measured(pieces(sounding, chunk), converter.rate)
        gain = level_gain(known, level, peak)
    channels = [_scaled(sounding, chunk, gain)]
    if (sides := take.own.stereo) is not None:
        _, peak = measured(restored(sounding, sides, converter.rate, chunk), converter.rate)
        gain = min(gain, PEAK / max(peak, PEAK))
        laid = tee(restored(sounding, sides, converter.rate, chunk))
        channels = [_side(waves, side, gain) for side, waves in enumerate(laid)]
    _write(output.path, channels, converter.rate, rate, length)
    key = ""
    if take.accomp is not None:
        key = account.in_key(voice, take.accomp, converter.features, chunk)
    made = level if level <= audio.SILENCE_DB else level + 20 * math.log10(gain)
    seconds = samples / converter.rate
    account.tell_output(output.path, take.request, seconds, rate, made, key)
    account.tell_loudest(output.path, take.meter, source)
    if form.mix is not None:
        write_mix(output.mix, sounding, converter.rate, level, gain, form.mix)


def _scaled(track: Track, chunk: int, gain: float) -> Iterator[np.ndarray]:
    for wave in pieces(track, chunk):
        yield wave * np.float32(gain)


def _side(waves: Iterable[np.ndarray], side: int, gain: float) -> Iterator[np.ndarray]:
    for wave in waves:
        yield wave[:, side] * np.float32(gain)


def _write(
    path: Path,
    channels: Sequence[Iterable[np.ndarray]],
    rate_in: int,
    rate_out: int,
    samples: int,
) -> None:
    """Write one channel or two, in pieces at `rate_in`, as `samples` samples at `rate_out`.

    A resampler's output may be a sample too long or too short; it is cut or padded with zeros.
    """
    resampled = [resample_stream(waves, rate_in, rate_out) for waves in channels]
    with audio.AudioWriter(path, rate_out, len(channels), durable=True) as file:
        for parts in zip(*resampled, strict=True):
            wave = parts[0] if len(parts) == 1 else np.stack(parts, axis=1)
            file.write(np.clip(wave[: samples - file.samples], -1.0, 1.0))
        if file.samples < samples:
            rest = samples - file.samples
            file.write(np.zeros(rest if len(channels) == 1 else (rest, 2), np.float32))

"""Collects and writes the output of a recording for one target.

An output's level is known only at its end, so it is kept in a temporary file until then.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vctool import audio
from vctool.audio.loudness import PEAK, matching_gain
from vctool.audio.resampling import resample_stream
from vctool.audio.tracks import CHUNK_SECONDS, SpoolTrack, Track, pieces
from vctool.features.analysis import Scan
from vctool.inference.converter import Converter
from vctool.inference.loudness import level_gain
from vctool.inference.outputs import Output
from vctool.inference.request import Request


@dataclass(frozen=True)
class Format:
    """Settings for writing outputs."""

    rate: int | Literal["input"]
    """Sampling rate [Hz], or the input's."""
    mix: bool
    """Whether the mix is written too."""
    force: bool
    """Whether existing files may be replaced."""


@dataclass
class Take:
    """The conversion of a recording to one target, in progress."""

    request: Request
    output: Output
    accomp: Track | None
    voice: SpoolTrack
    meter: audio.LevelMeter
    peak: float = 0.0

    def add(self, wave: np.ndarray) -> None:
        """Append the next piece (T,)."""
        if len(wave):
            self.voice.append(wave)
            self.meter.add(wave)
            self.peak = max(self.peak, float(np.abs(wave).max()))


def finish(converter: Converter, take: Take, known: Scan, form: Format) -> None:
    """Write a finished output, as loud as the input, and its mix if wanted."""
    output, voice, samples = take.output, take.voice, take.voice.samples
    level = take.meter.level_db
    gain = level_gain(known, level, take.peak)
    if form.rate == "input":  # exactly the input's length, not that of resampling it twice
        own = audio.measure(output.source)
        rate, length = own.rate, take.request.samples(own.samples)
    else:
        rate = form.rate
        length = audio.resampled_length(samples, converter.rate, rate)
    chunk = round(CHUNK_SECONDS * converter.rate)
    _write(output.path, _scaled(voice, chunk, gain), converter.rate, rate, length)
    if form.mix:
        assert take.accomp is not None
        mixed = _mixer(converter, voice, take.accomp, gain, level, chunk)
        _write(output.mix, mixed(), converter.rate, rate, length)


def _scaled(track: Track, chunk: int, gain: float) -> Iterator[np.ndarray]:
    for wave in pieces(track, chunk):
        yield wave * np.float32(gain)


def _mixer(
    converter: Converter, voice: Track, accomp: Track, gain: float, level: float, chunk: int
) -> Callable[[], Iterator[np.ndarray]]:
    """Return a function that yields the mix of a converted voice and its accompaniment.

    The accompaniment is first matched to the voice's loudness; then the gains of the checkpoint's
    recipe apply. A mix that would clip is attenuated as a whole.

    Args:
        converter: the model; its settings hold the gains.
        voice: the converted voice at the vocoder's own level.
        accomp: the accompaniment, of the same length.
        gain: gain of the voice in its own output.
        level: active level of `voice` [dB of full scale].
        chunk: length of the pieces [samples].
    """
    meter = audio.LevelMeter(converter.rate)
    for wave in pieces(accomp, chunk):
        meter.add(wave)
    settings = converter.settings
    voice_gain = gain * 10 ** (settings.vocal_gain_db / 20)
    accomp_gain = 10 ** (settings.accomp_gain_db / 20)
    accomp_gain *= gain * matching_gain(meter.level_db, level)

    def mixed(master: float = 1.0) -> Iterator[np.ndarray]:
        for start in range(0, voice.samples, chunk):
            stop = min(start + chunk, voice.samples)
            both = voice_gain * voice.read(start, stop) + accomp_gain * accomp.read(start, stop)
            yield (master * both).astype(np.float32)

    peak = max(float(np.abs(wave).max()) for wave in mixed())
    master = min(1.0, PEAK / peak) if peak > 0 else 1.0
    return lambda: mixed(master)


def _write(
    path: Path, waves: Iterable[np.ndarray], rate_in: int, rate_out: int, samples: int
) -> None:
    """Write pieces at `rate_in` as `samples` samples at `rate_out`.

    A resampler's output may be a sample too long or too short; it is cut or padded with zeros.
    """
    with audio.AudioWriter(path, rate_out, durable=True) as file:
        for wave in resample_stream(waves, rate_in, rate_out):
            file.write(np.clip(wave[: samples - file.samples], -1.0, 1.0))
        if file.samples < samples:
            file.write(np.zeros(samples - file.samples, np.float32))

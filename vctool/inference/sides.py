"""What of the recording itself is in an output: a share of its sound, and its left and right."""

import logging
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vctool import audio
from vctool.audio.tracks import CHUNK_SECONDS, SpoolTrack, Track
from vctool.errors import ConfigError
from vctool.inference.limits import require_range
from vctool.inference.request import Request
from vctool.inference.stereo import Stereo

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sides:
    """What of the recordings of a run their outputs keep.

    Raises:
        ConfigError: a share out of 0 to 1, or a stretched output, which is not at the same time.
    """

    dry: float = 0.0
    """Share of the recording in the output, from 0 to 1."""
    stereo: bool = False
    """Whether outputs of stereo recordings are stereo."""
    requests: Sequence[Request] = ()
    """The conversions."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        require_range("dry", self.dry, (0.0, 1.0))
        for told, wanted in (("--dry", self.dry), ("--stereo", self.stereo)):
            for request in self.requests:
                if wanted and request.stretch != 1:
                    raise ConfigError(
                        f"{told}: the output is {request.stretch:g} times as long as the "
                        "recording; pass --stretch 1"
                    )

    def open(self, path: Path, voice: Track, rate: int, folder: Path, stack: ExitStack) -> "Own":
        """Read what is kept of a recording.

        Args:
            path: its file.
            voice: its mono sound at the model's rate.
            rate: the model's [Hz].
            folder: where temporary files lie.
            stack: what closes them.
        """
        if not self.stereo:
            return Own(self.dry, voice, None)
        channels = audio.info(path).channels
        if channels != 2:
            what = "mono" if channels == 1 else f"of {channels} channels"
            logger.info("--stereo: %s is %s, and its output mono", path, what)
            return Own(self.dry, voice, None)
        tracks = []
        for channel in (0, 1):
            track = stack.enter_context(SpoolTrack(folder))
            samples = round(CHUNK_SECONDS * rate)
            for block in audio.read_blocks(path, rate, samples=samples, channel=channel):
                track.append(block)
            tracks.append(track)
        return Own(self.dry, voice, Stereo(*tracks))


@dataclass(frozen=True)
class Own:
    """What of one recording its outputs keep."""

    dry: float
    voice: Track
    """Its mono sound at the model's rate."""
    stereo: Stereo | None
    """Its sides; None where the output is mono."""


class Blend:
    """A conversion, and a share of its recording.

    Args:
        wet: the conversion.
        gain: that makes it as loud as the recording.
        dry: the recording, as long.
        share: of the recording, from 0 to 1.
    """

    def __init__(self, wet: Track, gain: float, dry: Track, share: float) -> None:
        self.samples = wet.samples
        self._wet, self._dry = wet, dry
        self._gains = np.float32((1 - share) * gain), np.float32(share)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples `start` to `stop`, silence outside: (stop - start,) float32."""
        wet, dry = self._gains
        return wet * self._wet.read(start, stop) + dry * self._dry.read(start, stop)


def measured(waves: Iterable[np.ndarray], rate: int) -> tuple[float, float]:
    """Return the active level [dB of full scale] and the peak of pieces of sound."""
    meter, peak = audio.LevelMeter(rate), 0.0
    for wave in waves:
        meter.add(wave if wave.ndim == 1 else wave.mean(axis=1))
        peak = max(peak, float(np.abs(wave).max(initial=0.0)))
    return meter.level_db, peak

"""One utterance: where its voice and its accompaniment are, and who speaks or sings."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vctool import audio
from vctool.audio.tracks import ArrayTrack, Looped
from vctool.errors import DataError


@dataclass(frozen=True)
class Utterance:
    """One utterance of a data dir."""

    id: str
    """Unique name, beginning with the speaker and a hyphen, so that sorting keeps speakers."""
    speaker: str
    """Who speaks or sings."""
    domain: str
    """`speech`, `singing`, or an instrument."""
    wav: Path
    """The file of the voice."""
    duration: float
    """Length of the utterance, counted in decoded samples [s]."""
    start: float | None = None
    """Where it begins in its file [s]; None where it is the whole file."""
    end: float | None = None
    """Where it ends in its file [s]."""
    channel: int | None = None
    """0-based channel of the voice; the mean of all channels where None."""
    accomp: tuple[Path, ...] = ()
    """Files whose sum is the accompaniment it was sung to, in time with `wav`."""
    accomp_channel: int | None = None
    """0-based channel of the accompaniment; the mean of all channels where None."""
    text: str | None = None
    """The words."""
    recording: str | None = None
    """Name of the recording that it is a segment of; its own id where None."""
    sentence: str | None = None
    """Name of what is said, shared by the speakers who say the same: what parallel means here."""
    stretch: str | None = None
    """Name of the notes that are played, shared by all instruments that play them at the same times
    and in the same key. The speaker and the domain are then the instrument."""

    def load(self, rate: int) -> np.ndarray:
        """Read the voice, (T,) float32, at a sampling rate [Hz].

        Raises:
            AudioError: the file cannot be used.
        """
        return audio.read(self.wav, rate, channel=self.channel, start=self.start, end=self.end)[0]

    def load_accomp(self, rate: int, samples: int | None = None) -> np.ndarray:
        """Read the accompaniment, the sum of its files, at a sampling rate [Hz].

        Args:
            rate: sampling rate.
            samples: length that it is looped or cut to; its own where not given.

        Returns:
            The accompaniment, (samples,) float32.

        Raises:
            AudioError: a file cannot be used.
            DataError: the utterance has no accompaniment.
        """
        if not self.accomp:
            raise DataError(f"utterance {self.id}: has no accompaniment; name one in accomp.scp")
        waves = [
            audio.read(path, rate, channel=self.accomp_channel, start=self.start, end=self.end)[0]
            for path in self.accomp
        ]
        mix = np.zeros(max(map(len, waves)), np.float32)
        for wave in waves:  # stems may differ by a sample or two
            mix[: len(wave)] += wave
        return mix if samples is None else Looped(ArrayTrack(mix), samples).read(0, samples)

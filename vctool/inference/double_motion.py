"""How a second take moves against the first: pitch, time, level and colour, as functions of time.

Every curve is smooth noise: standard normal numbers at evenly spaced knots, joined by a cubic
B-spline. A knot's number is an integer hash of (seed, take, curve, number of the knot), so any
moment can be computed alone, and two runs agree to the bit wherever they begin.

    knots    x        x          x       x            one every 0.16 s to 1.1 s
    curve    smooth in between, of the wanted spread

What follows the singing is a function of the last `MEMORY_SECONDS` of voicing: phrases begin where
voice returns after a pause, and there the time is pulled back to that of the lead.
"""

from typing import NamedTuple

import numpy as np
from pydantic import Field

from vctool.config import Config
from vctool.data.smooth_noise import curve, draw

LARGEST_SHIFT = 0.08
"""Largest distance of the double's time from the lead's, early or late [s]."""
TIME_KNOT, SLOW_KNOT, FAST_KNOT, LEVEL_KNOT, COLOUR_KNOT = 0.35, 0.3, 0.16, 0.3, 1.1
"""Steps between the knots of the curves [s]."""
FAST_SHARE = 0.8
"""Spread of the fast movement of pitch over that of the slow one."""
TILT_DB, FORMANT_SHARE = 1.0, 0.012
"""Spread of the tilt [dB], and of the formants' frequencies as a share, at a `timbre` of 1."""
PHRASE_SHARE = 0.2
"""Spread of the pitch offset of a phrase over that of the slow movement."""
PAUSE_SECONDS = 0.25
"""Pause after which a phrase begins [s]."""
PULL_SECONDS = 0.6
"""How long the pull at the start of a phrase takes to let go [s]."""
MEMORY_SECONDS = 20.0
"""A phrase that lasts longer is taken to begin anew, so that a moment depends on no more than this
of the past [s]."""
GLIDE_SECONDS = 0.3
"""Time in which the offset of one phrase turns into that of the next [s]."""
_STREAMS = 64
"""Curves and takes are told apart by numbers below this."""

(TIME, SLOW, FAST, PHRASE, LEVEL, TILT, FORMANT, PULSE, NOISE) = range(9)


class DoubleSettings(Config):
    """How far a double goes from its lead. The defaults are what real second takes measure."""

    seed: int = Field(1, ge=0, lt=2**31)
    """Of all randomness: the same seed makes the same double."""
    takes: int = Field(1, ge=1, le=16)
    """Number of doubles, each of its own."""
    tight: float = Field(0.5, ge=0, le=1)
    """How far time is pulled back to the lead's where a phrase begins: 0 not at all, 1 fully."""
    timing: float = Field(50.0, ge=0, le=80)
    """Spread of the shift in time [ms], before it is limited to 80 and pulled at phrase starts."""
    pitch: float = Field(36.0, ge=0, le=200)
    """Spread of the pitch [cents]: slow and fast movement, and an offset of each phrase."""
    timbre: float = Field(1.0, ge=0, le=3)
    """Movement of tilt and formants; 1 is 1 dB and 1.2 % (standard deviations), 0 is none."""
    level: float = Field(2.0, ge=0, le=12)
    """Spread of the level [dB]."""


class Motion(NamedTuple):
    """The curves of one take at some frames."""

    shift: np.ndarray
    """(F,) source time less output time [s], within `LARGEST_SHIFT`."""
    cents: np.ndarray
    """(F,) pitch over the source's [cents]."""
    gain_db: np.ndarray
    """(F,) gain [dB]."""
    tilt_db: np.ndarray
    """(F,) gain of what lies above the shelf [dB]."""
    stretch: np.ndarray
    """(F,) formant frequencies over the source's."""


def salt(settings: DoubleSettings, take: int, stream: int) -> int:
    """Number the randomness of one curve of one take."""
    return (settings.seed * _STREAMS + take) * _STREAMS + stream


class Phrases:
    """What the motion follows of the singing: pauses and beginnings of phrases.

    Args:
        frame_rate: frames in a second [Hz].
        first: number of the first frame that will be added; those before are silent.
    """

    def __init__(self, frame_rate: float, first: int) -> None:
        self._pause = round(PAUSE_SECONDS * frame_rate)
        self._pull = round(PULL_SECONDS * frame_rate)
        self._glide = round(GLIDE_SECONDS * frame_rate)
        self._memory = round(MEMORY_SECONDS * frame_rate)
        self._kept = self._pause + self._pull + self._glide + self._memory
        self._voiced = np.zeros(self._kept, bool)
        self._end = first
        self._starts: list[int] = []

    def add(self, voiced: np.ndarray) -> None:
        """Take the next frames (F,), True where there is voice."""
        joined = np.concatenate([self._voiced, voiced])
        for frame in np.flatnonzero(voiced):
            at = self._kept + int(frame)
            if not joined[at - self._pause : at].any():
                self._starts.append(self._end + int(frame))
        self._end += len(voiced)
        self._voiced = joined[len(voiced) :]
        while self._starts and self._starts[0] < self._end - self._kept:
            self._starts.pop(0)

    def pull(self, frames: np.ndarray) -> np.ndarray:
        """Tell how far time is held to the lead's at frames (F,), consecutive: 0 to 1.

        It rises while there is a pause, and lets go in `PULL_SECONDS` after it.
        """
        first = int(frames[0]) - self._pull - self._pause
        at = first - (self._end - self._kept)
        silent = ~self._voiced[at : at + len(frames) + self._pull + self._pause]
        counts = np.concatenate([[0], np.cumsum(silent)])
        share = (counts[self._pause :] - counts[: -self._pause])[1:] / self._pause
        windows = np.lib.stride_tricks.sliding_window_view(share, self._pull)[-len(frames) :]
        ramp = np.arange(self._pull - 1, -1, -1) / self._pull
        return np.asarray(np.maximum(windows - ramp, 0.0).max(axis=1))

    def offsets(self, frames: np.ndarray, salt: int) -> np.ndarray:
        """Draw a number for every phrase: (F,) of unit standard deviation at consecutive frames."""
        around = np.arange(int(frames[0]) - self._glide + 1, int(frames[-1]) + 1)
        starts = np.array([-(1 << 40), *self._starts])
        last = starts[np.searchsorted(starts, around, side="right") - 1]
        # a phrase that lasts too long goes on as one that has the number of its part of time
        keys = np.where(around - last < self._memory, last, -1 - around // self._memory)
        known, places = np.unique(keys, return_inverse=True)
        values = np.array([draw(int(key), salt) for key in known]) * np.sqrt(12) - np.sqrt(3)
        windows = np.lib.stride_tricks.sliding_window_view(values[places], self._glide)
        return np.asarray(windows.mean(axis=1))


def motion(
    settings: DoubleSettings, take: int, frames: np.ndarray, step: float, phrases: Phrases
) -> Motion:
    """Compute the curves of a take.

    Args:
        settings: how far they go.
        take: number of the take.
        frames: (F,) consecutive numbers of frames of output.
        step: between frames [s].
        phrases: of the lead, known up to the last frame.
    """
    seconds = frames * step

    def noise(knot: float, stream: int, limit: float = np.inf) -> np.ndarray:
        return curve(seconds, knot, salt(settings, take, stream), limit)

    # limited knots bound the slope too: 0.46, and 0.78 with the pull, so time never runs back
    spread = settings.timing / 1000
    shift = spread * noise(TIME_KNOT, TIME, LARGEST_SHIFT / spread if spread else np.inf)
    slow, fast = noise(SLOW_KNOT, SLOW), noise(FAST_KNOT, FAST)
    phrase = phrases.offsets(frames, salt(settings, take, PHRASE))
    of_pitch = (slow + PHRASE_SHARE * phrase + FAST_SHARE * fast) / np.sqrt(
        1 + PHRASE_SHARE**2 + FAST_SHARE**2
    )
    tilt, formant = noise(COLOUR_KNOT, TILT), noise(COLOUR_KNOT, FORMANT)
    return Motion(
        shift * (1 - settings.tight * phrases.pull(frames)),
        settings.pitch * of_pitch,
        settings.level * noise(LEVEL_KNOT, LEVEL),
        settings.timbre * TILT_DB * tilt,
        1 + settings.timbre * FORMANT_SHARE * formant,
    )

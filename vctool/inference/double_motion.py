"""How a second take moves against the first: pitch, time, level and colour, as functions of time.

Every curve is smooth noise: standard normal numbers at evenly spaced knots, joined by a cubic
B-spline. A knot's number is an integer hash of (seed, take, curve, number of the knot), so any
moment can be computed alone, and two runs agree to the bit wherever they begin.

    knots    x        x          x       x            one every 0.06 s to 1.1 s
    curve    smooth in between, of the wanted spread

What follows the singing is a function of the last `MEMORY_SECONDS` of voicing: phrases begin where
voice returns after a pause, and there the time is pulled back to that of the lead.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field

from vctool.config import Config
from vctool.data.sampling import keyed_uniform

LARGEST_SHIFT = 0.08
"""Largest distance of the double's time from the lead's, early or late [s]."""
TIME_KNOT, SLOW_KNOT, FAST_KNOT, LEVEL_KNOT, COLOUR_KNOT = 0.35, 0.45, 0.06, 0.3, 1.1
"""Steps between the knots of the curves [s]."""
FAST_SHARE = 0.2
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
_SUMMED = 4
"""Uniform numbers that are summed for a knot: exact in any order, near normal, and bounded."""
_SPLINE_SPREAD = 0.69
"""Standard deviation of the spline over that of its knots."""
_PAGE = 32
"""Knots that are drawn at once."""
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
    timing: float = Field(38.0, ge=0, le=80)
    """Spread (standard deviation) of the shift in time [ms]; it is never above 80."""
    pitch: float = Field(30.0, ge=0, le=200)
    """Spread of the slow movement of pitch [cents]; fast and phrasewise ones go with it."""
    timbre: float = Field(1.0, ge=0, le=3)
    """Movement of tilt and formants; 1 is 1 dB and 1.2 % (standard deviations), 0 is none."""
    level: float = Field(2.2, ge=0, le=12)
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


def curve(seconds: np.ndarray, knot: float, salt: int, limit: float = np.inf) -> np.ndarray:
    """Read smooth noise at moments.

    Args:
        seconds: (F,) rising, any absolute times [s].
        knot: step between knots [s].
        salt: which noise.
        limit: knots are kept within this of 0, and so are all values.

    Returns:
        (F,) of about unit standard deviation, within 5 of 0.
    """
    place = np.floor(seconds / knot)
    first, last = int(place[0]) - 1, int(place[-1]) + 2
    pages = range(first // _PAGE, last // _PAGE + 1)
    knots = np.clip(np.concatenate([_knots(page, salt) for page in pages]), -limit, limit)
    u = seconds / knot - place
    at = place.astype(int) - 1 - pages[0] * _PAGE
    weights = (
        (1 - u) * (1 - u) * (1 - u) / 6,
        ((3 * u - 6) * u * u + 4) / 6,
        (((3 - 3 * u) * u + 3) * u + 1) / 6,
        u * u * u / 6,
    )
    return np.asarray(sum(weight * knots[at + step] for step, weight in enumerate(weights)))


@lru_cache(maxsize=4096)
def _knots(page: int, salt: int) -> np.ndarray:
    """Draw `_PAGE` knots of a curve: of the standard deviation with which the curve has 1."""
    keys = torch.arange(page * _PAGE, (page + 1) * _PAGE)
    uniform = keyed_uniform(keys, (_SUMMED,), salt).double().sum(dim=1).numpy()
    return np.asarray((uniform - _SUMMED / 2) * np.sqrt(12 / _SUMMED) / _SPLINE_SPREAD)


@lru_cache(maxsize=4096)
def draw(key: int, salt: int) -> float:
    """Draw a number from 0 to 1 for an integer key."""
    return float(keyed_uniform(torch.tensor([key]), (1,), salt)[0, 0])


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
    of_pitch = slow + PHRASE_SHARE * phrase + FAST_SHARE * fast
    tilt, formant = noise(COLOUR_KNOT, TILT), noise(COLOUR_KNOT, FORMANT)
    return Motion(
        shift * (1 - settings.tight * phrases.pull(frames)),
        settings.pitch * of_pitch,
        settings.level * noise(LEVEL_KNOT, LEVEL),
        settings.timbre * TILT_DB * tilt,
        1 + settings.timbre * FORMANT_SHARE * formant,
    )

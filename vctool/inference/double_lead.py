"""What a double is made from: the last half second of a lead, and its pitch marks.

Windows at fixed places of absolute time are analysed, one for each step:

    window     |      before 150 ms      | step 50 ms | after 80 ms |
    window                  |      before 150 ms      | step 50 ms | after 80 ms |

F0 is DIO's and as good as that of a whole recording: on a song of RAVDESS, voicing is the same in
every frame and F0 differs by more than 50 cents in 1 of 80.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vctool.features.binding import pyworld
from vctool.inference.double_motion import Phrases
from vctool.vocoders.direct import pitch_marks

CORE, BEFORE, AFTER = 10, 30, 16
"""Frames of a step, and how many more are analysed before and after them."""
BEHIND = 30
"""Frames that the output of a step lies behind its input: the largest shift and three periods."""
F0_FLOOR, F0_CEIL = 65.0, 1100.0
"""Range of a singer's pitch [Hz]."""
LONGEST_PERIOD = 0.02
"""Marks further apart are of two voiced parts [s]."""
PART_GAP = 1.6
"""So are marks further apart than this many periods."""
SEARCH_RATE = 11000
"""Least rate at which F0 is searched [Hz]."""
SHELF_SECONDS = 0.6e-3
"""Length of the smoothing above which the tilt acts [s]: about 1.5 kHz."""
RUMBLE_SECONDS = 0.025
"""Length of the mean that is taken out of what is not voiced [s]."""
OFFSET_SECONDS = 0.05
"""Length of the mean, taken twice, that is taken for an offset [s]: below 15 Hz."""
LEAST_SHARE = 0.25
"""What sounds for less than this share of that time is a click, and not an offset; at the very
beginning of a recording the share is 0.5."""
TAPS, PHASES = 16, 256
"""Length of the interpolator between samples, and its steps in a sample."""


class Lead:
    """What is known of the lead: its last half second, its pitch marks and its phrases."""

    def __init__(self, rate: int, hop: int, frame: int) -> None:
        self.rate, self.hop = rate, hop
        self.end = frame * hop
        """Absolute sample up to which everything is known."""
        self.phrases = Phrases(rate / hop, frame)
        kept = (BEFORE + CORE + AFTER + BEHIND) * hop
        self.begin = self.end - kept
        """Absolute sample of the first that is kept."""
        self.bands = np.zeros((3, kept))
        """The sound; what of it lies above the shelf; and it without rumble."""
        self.marks, self.periods = np.zeros(0), np.zeros(0)
        length = 2 * round(0.5 * SHELF_SECONDS * rate) + 3
        shelf = np.hanning(length)
        self._shelf = shelf / shelf.sum()

    def add(self, window: np.ndarray) -> None:
        """Take the next step with what is around it."""
        from scipy.ndimage import uniform_filter1d

        hop, core = self.hop, slice(BEFORE * self.hop, (BEFORE + CORE) * self.hop)
        f0 = np.zeros(BEFORE + CORE + AFTER)
        if np.any(window):
            f0 = self._f0(window)
        found = pitch_marks.find(window, self.rate, hop, f0)
        self.phrases.add(f0[BEFORE : BEFORE + CORE] > 0)
        sound = without_offset(window, self.rate)
        high = sound - np.convolve(sound, self._shelf, mode="same")
        mean = uniform_filter1d(sound, max(1, round(RUMBLE_SECONDS * self.rate)), mode="nearest")
        new = np.stack([sound, high, sound - mean])[:, core]
        self.bands = np.concatenate([self.bands[:, new.shape[1] :], new], axis=1)
        self.begin += CORE * hop
        place = self.end - BEFORE * hop
        self.end += CORE * hop
        for part in found:
            self._append(part.times + place)
        old = self.marks < self.begin
        self.marks, self.periods = self.marks[~old], self.periods[~old]

    def _f0(self, window: np.ndarray) -> np.ndarray:
        """Search F0 of every frame of a window [Hz], 0 where there is none."""
        speed = int(np.clip(self.rate // SEARCH_RATE, 1, 12))
        found, _ = pyworld.dio(
            np.ascontiguousarray(window),
            self.rate,
            F0_FLOOR,
            F0_CEIL,
            frame_period=1000 * self.hop / self.rate,
            speed=speed,
        )
        return np.asarray(found[: BEFORE + CORE + AFTER])

    def _append(self, times: np.ndarray) -> None:
        """Go on with the marks of a voiced part, those that are new and not beyond the step."""
        periods = np.diff(times)
        periods = np.append(periods, periods[-1])
        last = self.marks[-1] + 0.5 * self.periods[-1] if len(self.marks) else -np.inf
        # a mark of the step before that moved over its end is taken here
        new = (times > max(last, self.end - (CORE + 1) * self.hop)) & (times < self.end)
        self.marks = np.concatenate([self.marks, times[new]])
        self.periods = np.concatenate([self.periods, periods[new]])

    def read(self, places: np.ndarray, tilt: float) -> np.ndarray:
        """Read the sound between samples.

        Args:
            places: (T,) absolute, rising [samples].
            tilt: gain of what is above the shelf, less 1.
        """
        first = int(places[0]) - TAPS // 2
        stop = int(places[-1]) + TAPS // 2 + 2
        sound = self.bands[:2, first - self.begin : stop - self.begin]
        sound = sound[0] + tilt * sound[1]
        whole = np.floor(places)
        phase = np.rint((places - whole) * PHASES).astype(int)
        at = (whole.astype(int) - first - (TAPS // 2 - 1))[:, None] + np.arange(TAPS)
        return np.asarray(np.einsum("ij,ij->i", sound[at], _interpolators()[phase]))

    def grid(self) -> "Grid":
        """Return the marks that have a neighbour within the same voiced part."""
        if not len(self.marks):
            return Grid(self.marks, self.marks, self.marks, np.zeros(0, bool))
        gaps = np.diff(self.marks)
        widest = np.minimum(
            PART_GAP * np.maximum(self.periods[1:], self.periods[:-1]), LONGEST_PERIOD * self.rate
        )
        joined = gaps <= widest
        before, after = np.append(False, joined), np.append(joined, False)
        back, on = np.append(0.0, gaps), np.append(gaps, 0.0)
        kept = before | after
        return Grid(
            self.marks[kept],
            np.where(before, back, on)[kept],
            np.where(after, on, back)[kept],
            after[kept],
        )


class Grid(NamedTuple):
    """Pitch marks of the lead."""

    times: np.ndarray
    """(N,) [samples], rising."""
    back: np.ndarray
    """(N,) period before each [samples]."""
    on: np.ndarray
    """(N,) period after each [samples]."""
    joined: np.ndarray
    """(N,) whether the next is of the same voiced part."""

    def place(self, time: float) -> float | None:
        """Return the place of a moment among the marks, fractional; None where no voice is.

        A voiced part reaches half a period beyond its first and last mark.
        """
        after = int(np.searchsorted(self.times, time, side="right"))
        if after > 0:
            away = time - self.times[after - 1]
            if self.joined[after - 1]:
                return after - 1 + float(away / self.on[after - 1])
            if away <= 0.5 * self.on[after - 1]:
                return float(after - 1)
        if after < len(self.times) and self.times[after] - time <= 0.5 * self.back[after]:
            return float(after)
        return None

    def voice(self, first: int, stop: int) -> np.ndarray:
        """Return how much of the sound is voiced at samples: (stop - first,), 0 to 1.

        1 between the marks of a part; it fades over a period outside, as the windows of the marks
        add up.
        """
        found = np.zeros(stop - first)
        if not len(self.times):
            return found
        ends = np.flatnonzero(~self.joined)
        begins = np.append(0, ends[:-1] + 1)
        for begin, end in zip(begins, ends, strict=True):
            low, high = self.times[begin] - self.back[begin], self.times[end] + self.on[end]
            a, b = max(first, int(np.ceil(low))), min(stop, int(np.floor(high)) + 1)
            if a < b:
                at = np.arange(a, b)
                before = (self.times[begin] - at) / self.back[begin]
                beyond = (at - self.times[end]) / self.on[end]
                outside = np.clip(np.maximum(before, beyond), 0.0, 1.0)
                found[a - first : b - first] += 0.5 + 0.5 * np.cos(np.pi * outside)
        return np.minimum(found, 1.0)


def without_offset(wave: np.ndarray, rate: int) -> np.ndarray:
    """Take a constant or slow offset out of a wave (T,), but not out of digital silence.

    What is exactly 0 has none and counts for none, as the silence before a recording and after it:
    a step there would be sound, and be made again as noise.
    """
    from scipy.ndimage import uniform_filter1d

    sounds = (wave != 0).astype(float)
    size = max(1, round(OFFSET_SECONDS * rate))
    total, share = (
        uniform_filter1d(uniform_filter1d(one, size, mode="constant"), size, mode="constant")
        for one in (wave, sounds)
    )
    return np.asarray(sounds * (wave - total / np.maximum(share, LEAST_SHARE)))


@lru_cache(maxsize=1)
def _interpolators() -> np.ndarray:
    """Return windowed sincs (PHASES + 1, TAPS) that read between samples."""
    offsets = np.arange(TAPS) - (TAPS // 2 - 1)
    away = offsets[None, :] - np.arange(PHASES + 1)[:, None] / PHASES
    kernels = np.sinc(away) * np.cos(0.5 * np.pi * away / (TAPS // 2)) ** 2
    return np.asarray(kernels / kernels.sum(axis=1, keepdims=True))

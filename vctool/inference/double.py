"""A second take of a lead: the singer's own sound, sung again a little differently.

    lead --+-- pitch marks --- periods laid anew (TD-PSOLA) ---+-- level -- double
           +-- the rest ------ its spectrum with new phases ---+
                       motion: time, pitch, tilt, formants (`double_motion`)

What two takes of a singer share is the voice, and what they do not share is every single vibration.
So voiced sound is made of the lead's periods, at other distances and in another time, and what is
not voiced keeps its short-time spectrum and gets fresh phases. A delay line has neither: it moves
pitch with time, and combs with the lead.

Everything happens in steps at fixed places of absolute time. A step reads a stretch of the lead
around it and no more, so that the output depends neither on the sizes of blocks nor on where one
begins, but for the last `PREROLL_SECONDS`, after which all states are the same.
"""

import numpy as np
import torch

from vctool.data.sampling import keyed_uniform
from vctool.data.smooth_noise import draw
from vctool.inference import double_motion
from vctool.inference.double_lead import AFTER, BEFORE, BEHIND, CORE, LONGEST_PERIOD, Grid, Lead
from vctool.inference.double_motion import DoubleSettings, Motion, motion, salt

__all__ = ["PREROLL_SECONDS", "DoubleSettings", "Doubler"]

PREROLL_SECONDS = 2 * double_motion.MEMORY_SECONDS + 5.0
"""How much of the lead is to be heard before an output is what it is in the whole [s]."""
FRAME_SECONDS = 0.005
"""Step between frames [s], rounded to samples."""
ANGLES = 4096
"""Phases that fresh noise may have."""
KNEE = 0.9
"""Level from which peaks are bent so that they stay below 1."""


class Doubler:
    """Makes doubles of a lead that arrives in blocks.

    The contract: `process` takes (T,) samples of any T and returns as many, `latency` samples late;
    `flush` returns what is left, so that in all `latency` samples more come out than go in. Cut
    off the first `latency` of all of it, and each double lies beside its lead, to the sample of its
    time line. The outputs, joined, are the same to the bit for blocks of any sizes.

        doubler = Doubler(48000, DoubleSettings(seed=3))
        late = [doubler.process(block) for block in blocks] + [doubler.flush()]
        doubles = np.concatenate(late, axis=1)[:, doubler.latency :]    # (takes, T)

    `vctool double` is this over a whole file. Work comes in bursts, one for every 50 ms of input,
    and not evenly with the blocks.

    Args:
        rate: sampling rate [Hz], 8000 to 192000.
        settings: how far the doubles go.
        start: absolute number of the first sample that will arrive. A stream that is to go on as
            the whole recording would at sample S begins `preroll(rate, S)` samples earlier.
    """

    def __init__(self, rate: int, settings: DoubleSettings | None = None, start: int = 0) -> None:
        self.rate = rate
        self.settings = DoubleSettings() if settings is None else settings
        self.hop = max(1, round(FRAME_SECONDS * rate))
        self.latency = (AFTER + CORE + BEHIND) * self.hop
        """Declared and exact [samples]."""
        self._step = start // (CORE * self.hop)
        self._lead = Lead(rate, self.hop, self._step * CORE)
        self._takes = [
            _Take(rate, self.hop, self.settings, take, self._step * CORE - BEHIND)
            for take in range(self.settings.takes)
        ]
        begin = self._step * CORE * self.hop
        self._waiting = np.zeros(BEFORE * self.hop + start - begin)
        self._pending: list[np.ndarray] = []
        late = begin - BEHIND * self.hop - (start - self.latency)
        # what is before the first output of a step
        self._pending.append(np.zeros((self.settings.takes, max(0, late)), np.float32))
        self._skipped = max(0, -late)

    @staticmethod
    def preroll(rate: int, sample: int) -> int:
        """Return how many samples before `sample` a stream is to begin: all, near the start."""
        return min(sample, round(PREROLL_SECONDS * rate))

    def process(self, block: np.ndarray) -> np.ndarray:
        """Take the next samples (T,), finite; return as many of every double: (takes, T) float32.

        Sounds stay within -1..1, whatever the lead's level: peaks above 0.9 are bent.
        """
        block = np.asarray(block, np.float64)
        assert block.ndim == 1, block.shape
        self._waiting = np.concatenate([self._waiting, block])
        core, window = CORE * self.hop, (BEFORE + CORE + AFTER) * self.hop
        first = 0
        while len(self._waiting) - first >= window:
            self._lead.add(self._waiting[first : first + window])
            end = (self._step + 1) * CORE - BEHIND
            made = np.stack([take.advance(self._lead, end) for take in self._takes])
            cut = min(self._skipped, made.shape[1])
            self._skipped -= cut
            self._pending.append(made[:, cut:])
            self._step += 1
            first += core
        self._waiting = self._waiting[first:]
        ready = np.concatenate(self._pending, axis=1)
        self._pending = [ready[:, len(block) :]]
        return np.asarray(ready[:, : len(block)])

    def flush(self) -> np.ndarray:
        """Return the last `latency` samples of every double: (takes, latency)."""
        return self.process(np.zeros(self.latency))


class _Take:
    """One double: its motion, and the sound that is not yet complete."""

    def __init__(
        self, rate: int, hop: int, settings: DoubleSettings, take: int, frame: int
    ) -> None:
        self.rate, self.hop, self.settings, self.take = rate, hop, settings, take
        self._frame = frame
        """Output is complete up to this frame."""
        self._ahead = int(np.ceil(LONGEST_PERIOD * rate / hop)) + 1
        size = (CORE + 3 * self._ahead) * hop
        self._voiced, self._noise = np.zeros(size), np.zeros(size)
        self._next = float(frame * hop)
        """Where the next period begins to be searched for, or lies [samples of output]."""
        self._run: float | None = None
        """Where the voiced part that is being laid began; None in between [samples of output]."""
        self._memory = double_motion.MEMORY_SECONDS * rate
        self._window = np.sin(np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop))

    def advance(self, lead: Lead, end: int) -> np.ndarray:
        """Complete the output up to a frame: (T,) float32."""
        hop = self.hop
        begin = self._frame * hop
        frames = np.arange(self._frame, end + self._ahead + 2)
        moves = motion(self.settings, self.take, frames, hop / self.rate, lead.phrases)
        source = frames * hop + moves.shift * self.rate
        grid = lead.grid()
        self._lay_periods(lead, grid, frames * hop, source, moves, (end + self._ahead) * hop)
        self._lay_noise(lead, grid, frames, source, moves, end)
        count = end * hop - begin
        sound = self._voiced[:count] + self._noise[:count]
        for held in (self._voiced, self._noise):
            held[:-count] = held[count:]
            held[-count:] = 0.0
        self._frame = end
        gain = np.interp(np.arange(count) / hop, np.arange(len(frames)), moves.gain_db)
        return _bent(sound * 10 ** (gain / 20)).astype(np.float32)

    def _lay_periods(
        self,
        lead: Lead,
        grid: Grid,
        times: np.ndarray,
        source: np.ndarray,
        moves: Motion,
        limit: int,
    ) -> None:
        """Lay the periods whose marks are before `limit` [samples of output]."""
        pitch = np.exp2(-moves.cents / 1200)
        while self._next < limit:
            now = self._next
            here = float(np.interp(now, times, source))
            place = grid.place(here)
            if place is None:
                self._run = None
                self._next = self._onset(grid, times, source, here, limit)
                continue
            if self._run is None:
                self._run = now
            tilt = 10 ** (float(np.interp(now, times, moves.tilt_db)) / 20) - 1
            stretch = float(np.interp(now, times, moves.stretch))
            period = 0.0
            number, share = int(place), place - int(place)
            for one, part in ((number, 1 - share), (number + 1, share)):
                if part > 0:
                    self._lay(lead, grid, one, part, now, tilt, stretch)
                    period += part * grid.on[one]
            self._next = now + period * float(np.interp(now, times, pitch))
            border = self._memory * np.ceil(now / self._memory)
            if now < border <= self._next and self._run <= border - self._memory:
                # a voice that never rests begins anew, so that the past is forgotten
                self._run = border
                self._next = border + period * self._draw(border)

    def _onset(
        self, grid: Grid, times: np.ndarray, source: np.ndarray, here: float, limit: int
    ) -> float:
        """Find where the next voiced part begins in the output, at a pulse phase of its own."""
        after = int(np.searchsorted(grid.times, here, side="right"))
        if after == len(grid.times) or grid.times[after] >= source[-1]:
            return float(limit)
        at = float(np.interp(grid.times[after], source, times))
        if at >= limit:
            return float(limit)
        return at + grid.on[after] * self._draw(grid.times[after]) * 0.5

    def _draw(self, key: float) -> float:
        return draw(round(key), salt(self.settings, self.take, double_motion.PULSE))

    def _lay(
        self,
        lead: Lead,
        grid: Grid,
        number: int,
        share: float,
        now: float,
        tilt: float,
        stretch: float,
    ) -> None:
        """Add one period of the lead around a moment of the output."""
        back, on, mark = grid.back[number], grid.on[number], grid.times[number]
        first = int(np.ceil(now - back))
        away = np.arange(first, int(np.floor(now + on)) + 1) - now
        window = 0.5 + 0.5 * np.cos(np.pi * away / np.where(away < 0, back, on))
        begin = self._frame * self.hop
        read = lead.read(mark + stretch * away, tilt)
        at = first - begin
        skipped = max(0, -at)
        self._voiced[at + skipped : at + len(away)] += (share * window * read)[skipped:]

    def _lay_noise(
        self,
        lead: Lead,
        grid: Grid,
        frames: np.ndarray,
        source: np.ndarray,
        moves: Motion,
        end: int,
    ) -> None:
        """Lay the frames up to the one at `end`: the lead's spectra, phases of their own."""
        hop = self.hop
        # the frame at the end of the step before was laid then
        chosen = slice(1, end - self._frame + 1)
        centres = np.rint(source[chosen]).astype(int)
        first, stop = int(centres.min()) - hop, int(centres.max()) + hop
        tilt = 10 ** (moves.tilt_db[chosen, None] / 20) - 1
        rest = 1 - grid.voice(first, stop)
        _, high, level = lead.bands[:, first - lead.begin : stop - lead.begin] * rest
        at = (centres - hop - first)[:, None] + np.arange(2 * hop)
        spectra = np.abs(np.fft.rfft((level[at] + tilt * high[at]) * self._window, axis=1))
        keys = torch.from_numpy(frames[chosen])
        name = salt(self.settings, self.take, double_motion.NOISE)
        angles = (keyed_uniform(keys, (hop + 1,), name) * ANGLES).long().numpy()
        made = np.fft.irfft(spectra * _TURNS[angles], 2 * hop, axis=1) * self._window
        for number, wave in enumerate(made):
            self._noise[number * hop : (number + 2) * hop] += np.sqrt(2) * wave


_TURNS = np.exp(2j * np.pi * np.arange(ANGLES) / ANGLES)


def _bent(sound: np.ndarray) -> np.ndarray:
    """Bend peaks above `KNEE` so that they stay below 1; what is softer stays as it is."""
    over = np.abs(sound) - KNEE
    room = 1 - KNEE
    bent = np.sign(sound) * (KNEE + room * over / (room + np.maximum(over, 0.0)))
    return np.where(over > 0, bent, sound)

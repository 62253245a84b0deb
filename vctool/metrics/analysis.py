"""Analysis of a wave that the measures share, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from vctool.metrics.base import Each, serially
from vctool.metrics.notes import Note, segment
from vctool.metrics.pitch import RATE, at_scoring_rate, track
from vctool.metrics.spectral import bands_db, cepstra


@dataclass(frozen=True)
class Analysis:
    """F0 and spectral envelope of one wave, every 10 ms."""

    f0: np.ndarray
    """(F,) [Hz], 0 where unvoiced."""
    bands: np.ndarray
    """(F, N_BANDS) [dB], 0 at the utterance's strongest."""
    seconds: float
    """Length of the wave [s]."""

    @cached_property
    def notes(self) -> list[Note]:
        """Segments of the F0 track."""
        return segment(self.f0)

    @cached_property
    def cepstra(self) -> np.ndarray:
        """Cepstra c1..c12: (F, CEPSTRA)."""
        return cepstra(self.bands)

    @property
    def voiced(self) -> int:
        """Number of voiced frames."""
        return int(np.count_nonzero(self.f0))


def analyse(wave: np.ndarray, rate: int) -> Analysis:
    """Analyse one wave (T,) of any rate and level."""
    wave = at_scoring_rate(wave, rate)
    return Analysis(track(wave), bands_db(wave), len(wave) / RATE)


def analyse_all(waves: Sequence[np.ndarray], rate: int, each: Each = serially) -> list[Analysis]:
    """Analyse waves in order, on the processes of `each`."""
    return each(partial(analyse, rate=rate), waves)

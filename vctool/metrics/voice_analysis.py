"""Analysis of a wave for the measures of voice conversion, computed once.

Everything is at the scoring rate, a frame every 10 ms. The wave is brought to peak 1 first, so that
nothing depends on its level; frames far below the utterance's strongest are marked as silent, so
that nothing depends on pauses or on silence at its ends.

Above `EDGE_HZ` the envelope is taken as it is there. Resampling filters and codecs end between that
and half the rate, and a wave that was merely at 22.05 kHz in between would else lie 4 dB of
mel-cepstral distortion from itself; so it is 0.03 dB, and two speakers lie apart as before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from vctool.features import mcep
from vctool.metrics.base import Each, serially
from vctool.metrics.pitch import F0_FLOOR, HOP, RATE, at_scoring_rate, track
from vctool.metrics.spectral import active, bands_db

ORDER = 24
"""Highest mel-cepstral coefficient; c0, the level, is in no distance."""
ALPHA = 0.42
"""All-pass constant of the mel-cepstra: the mel scale at 16 kHz."""
EDGE_HZ = 7000.0
"""Above this the envelope is constant [Hz]."""
GATE_DB = 40.0
"""Frames whose strongest mel band lies this far below the utterance's are silent [dB]."""


@dataclass(frozen=True)
class VoiceAnalysis:
    """F0, envelope and activity of one wave, every 10 ms."""

    f0: np.ndarray
    """(F,) [Hz], 0 where unvoiced."""
    mcep: np.ndarray
    """(F, ORDER + 1) mel-cepstra c0..c24 of CheapTrick's envelope."""
    bands: np.ndarray
    """(F, N_BANDS) log mel bands [dB], 0 at the utterance's strongest; for content kept."""
    active: np.ndarray
    """(F,) bool, True where there is sound; never all False."""
    seconds: float
    """Length of the wave [s]."""

    @cached_property
    def sounding(self) -> np.ndarray:
        """Indices of the active frames: (A,), A >= 1."""
        return np.flatnonzero(self.active)

    @cached_property
    def shape(self) -> np.ndarray:
        """Spectral shape of the active frames: c1..c24, (A, ORDER)."""
        return np.asarray(self.mcep[self.sounding, 1:])


def analyse(wave: np.ndarray, rate: int) -> VoiceAnalysis:
    """Analyse one wave (T,), T >= 1, of any rate and level.

    A silent wave counts as sounding throughout, with a flat envelope: a system cannot hide an
    utterance by silencing it.
    """
    from vctool.features.binding import pyworld

    wave = at_scoring_rate(wave, rate)
    peak = float(np.max(np.abs(wave), initial=0.0))
    scaled = wave / peak if peak > 0 else wave
    f0 = track(scaled)
    times = np.arange(len(f0)) * HOP / RATE
    size = pyworld.get_cheaptrick_fft_size(RATE, F0_FLOOR)
    power = pyworld.cheaptrick(scaled, f0, times, RATE, fft_size=size)
    edge = int(EDGE_HZ / RATE * size)
    power[:, edge + 1 :] = power[:, edge : edge + 1]
    bands = bands_db(scaled)
    return VoiceAnalysis(
        f0=f0,
        mcep=mcep.encode(power, ORDER, ALPHA),
        bands=bands,
        active=active(bands, GATE_DB),
        seconds=len(wave) / RATE,
    )


def analyse_all(
    waves: Sequence[np.ndarray], rate: int, each: Each = serially
) -> list[VoiceAnalysis]:
    """Analyse waves in order, on the processes of `each`."""
    return each(partial(analyse, rate=rate), waves)

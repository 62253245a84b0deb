"""The scoreboard of vocoders: recordings through each, beside the recordings themselves.

    board = CopyBoard(recordings, 16000)
    board.add("griffin_lim", waves, 16000, seconds)
    print(markdown(board.scores()))

A vocoder gets the features of held-out recordings and should give the recordings back. Row
`recording` is what nothing can surpass: 0 away from itself, and as natural as it was recorded.
"""

from collections.abc import Sequence

import numpy as np

from vctool.evaluation.page import table
from vctool.evaluation.page.table import Layout, Measure, Scores
from vctool.evaluation.voices.board import Recall, ask_anew
from vctool.metrics import content, f0_error, mcd, naturalness, resynthesis
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.mcd import Path
from vctool.metrics.unavailable import MetricUnavailable
from vctool.metrics.voice_analysis import ALPHA, ORDER, VoiceAnalysis, analyse_all

REAL = "recording"
"""The row of the recordings."""

MEASURES: dict[str, Measure] = {
    "lsd": Measure("LSD", "dB", "lower", "log-spectral distance to the recording", gap=False),
    "mr_stft": Measure(
        "MR-STFT", "", "lower", "multi-resolution STFT distance to the recording", gap=False
    ),
    "mcd": Measure("MCD", "dB", "lower", "mel-cepstral distortion, frame by frame", gap=False),
    "f0_rmse": Measure(
        "F0 RMSE", "cents", "lower", "where recording and output are voiced", gap=False
    ),
    "f0_voicing": Measure(
        "voicing error", "share", "lower", "frames that differ in voicing", gap=False
    ),
    "content": Measure(
        "content kept", "share", "higher", "own recording nearest among all", gap=False
    ),
    "dnsmos_overall": Measure("DNSMOS", "MOS", "higher", "predicted overall quality", gap=False),
    "dnsmos_signal": Measure("SIG", "MOS", "higher", "predicted quality of the speech", gap=False),
    "dnsmos_background": Measure("BAK", "MOS", "higher", "predicted absence of noise", gap=False),
    "dnsmos_p808": Measure("P.808", "MOS", "higher", "predicted opinion of listeners", gap=False),
    "rtf": Measure(
        "real-time factor", "", "lower", "processor seconds per second of sound", gap=False
    ),
}
"""Columns of the table."""

EXACT = ("lsd", "mr_stft", "mcd", "f0_rmse", "f0_voicing")
"""Measures of a distance: a recording is 0 away from itself."""


class CopyBoard:
    """Measures vocoders one by one and sets them beside each other."""

    def __init__(
        self,
        recordings: Sequence[np.ndarray],
        rate: int,
        nj: int = 1,
        recall: Recall = ask_anew,
    ) -> None:
        """Analyse the recordings.

        Args:
            recordings: (N,) held-out waves (T,); two or more.
            rate: of them [Hz].
            nj: processes; no value depends on it.
            recall: asks the network that judges sound, or remembers what it said.
        """
        self.recordings = recordings
        self.rate = rate
        self.nj = nj
        self._recall = recall
        self.not_run: dict[str, str] = {}
        """Measures that could not be taken, each with the reason."""
        self._opinions: naturalness.OpinionPredictor | None = None
        try:
            self._opinions = naturalness.OpinionPredictor()
        except MetricUnavailable as error:
            self.not_run["DNSMOS"] = str(error)
        self._sources = analyse_all(recordings, rate, nj)
        self.analyses: dict[str, list[VoiceAnalysis]] = {REAL: self._sources}
        """Of every row's waves."""
        ones = np.ones(len(recordings))
        itself = {name: ratio(0.0 * ones, ones) for name in EXACT}
        self.pooled: dict[str, dict[str, Pooled]] = {
            REAL: itself | {"content": ratio(ones, ones)} | self._judge(recordings, rate)
        }

    def add(self, name: str, waves: Sequence[np.ndarray], rate: int, seconds: np.ndarray) -> None:
        """Measure a vocoder.

        Args:
            name: its row.
            waves: one (T,) per recording, in their order and as long as they are.
            rate: of the waves [Hz].
            seconds: (N,) processor time that each wave took [s].
        """
        assert name != REAL and len(waves) == len(self.recordings), (name, len(waves))
        found = analyse_all(waves, rate, self.nj)
        paths = [_straight(a, b) for a, b in zip(found, self._sources, strict=True)]
        sounding = [
            (path[0][one.active[path[0]]],) * 2
            for path, one in zip(paths, self._sources, strict=True)
        ]
        errors = f0_error.pooled(found, self._sources, paths)
        hits = content.retrieve([a.bands for a in found], [b.bands for b in self._sources])
        lengths = np.array([len(wave) / rate for wave in waves])
        self.pooled[name] = {
            **resynthesis.pooled(waves, self.recordings, rate, self.rate),
            "mcd": mcd.pooled(found, self._sources, sounding),
            "f0_rmse": errors["f0_rmse"],
            "f0_voicing": errors["f0_voicing"],
            "content": ratio(hits, np.ones(len(hits))),
            **self._judge(waves, rate),
            "rtf": ratio(seconds, lengths),
        }
        self.analyses[name] = found

    def scores(self, resamples: int = 1000, seed: int = 0) -> Scores:
        """Set all rows beside each other, with intervals from paired resamples."""
        return table.tabulate(self.pooled, self.layout, resamples, seed)

    def per_utterance(self) -> dict[str, dict[str, np.ndarray]]:
        """Return the values (N,) of every recording, `[measure][row]`."""
        return table.per_utterance(self.pooled, self.layout)

    @property
    def layout(self) -> Layout:
        """How the table is laid out."""
        return Layout(MEASURES, REAL, frozenset(MEASURES))

    def settings(self) -> dict[str, str]:
        """Spell out how every measure is taken."""
        size = len(self.recordings)
        return {
            "LSD, MR-STFT": resynthesis.SETTINGS,
            "MCD": f"mel-cepstra c1..c{ORDER}, alpha {ALPHA}, of CheapTrick every 10 ms, where "
            "the recording sounds",
            "F0": "DIO with StoneMask every 10 ms, 65 to 1000 Hz, octaves not forgiven",
            "content kept": f"top-1 of {size} recordings (chance {1 / size:.3f}), cepstra c1-c12 "
            "without level or F0, mean and variance normalised",
            "DNSMOS": naturalness.SETTINGS,
            "real-time factor": "processor time of one thread from features to sound, the "
            "analysis left out",
        }

    def _judge(self, waves: Sequence[np.ndarray], rate: int) -> dict[str, Pooled]:
        if self._opinions is None:
            return {}
        ask = self._opinions.predict_all
        return naturalness.pooled(self._recall(naturalness.judge(), waves, rate, ask))


def _straight(a: VoiceAnalysis, b: VoiceAnalysis) -> Path:
    """Pair frame k with frame k."""
    frames = np.arange(min(len(a.f0), len(b.f0)))
    return frames, frames


def markdown(scores: Scores) -> str:
    """Lay the values out as a table: one line per row, one column per measure."""
    return table.markdown(scores, MEASURES)

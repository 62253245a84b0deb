"""The scoreboard of voice conversion: every system on every measure, with paired intervals.

    task = VoiceTask(16000, sources, targets, target_recordings, target_training, source_training)
    board = VoiceBoard(task)
    board.add("copy", sources)
    board.add("model", outputs)
    print(markdown(board.scores()))

Systems' waves are in the order of the sources. Row `target` is the target's own held-out
recordings: of the same sentences where the task is parallel. Spectrum, pitch and voice are
compared with the target's training recordings, so that row has its own distance from them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TypeVar

import numpy as np

from vctool.evaluation.page import table
from vctool.evaluation.page.table import COPY, Layout, Measure, Scores
from vctool.metrics import content, f0_error, mcd, modulation, naturalness, speaker, transcript
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.unavailable import MetricUnavailable
from vctool.metrics.voice_analysis import VoiceAnalysis, analyse_all

__all__ = ["COPY", "MEASURES", "REAL", "Scores", "VoiceBoard", "VoiceTask", "markdown"]

T = TypeVar("T")
Ask = Callable[[Sequence[np.ndarray], int], np.ndarray]
"""A slow judge: maps N waves and their rate to (N, D)."""
Analyse = Callable[[Sequence[np.ndarray], int, int], list[VoiceAnalysis]]
"""Analyses waves at a rate on some processes, as `analyse_all` does."""
Recall = Callable[[str, Sequence[np.ndarray], int, Ask], np.ndarray]
"""Asks a judge, known by a text on which its answers depend, or remembers what it said."""

REAL = "target"
"""The row of the target's own recordings."""

MEASURES: dict[str, Measure] = {
    "content": Measure(
        "content kept", "share", "higher", "own source nearest among all sources", gap=False
    ),
    "cer": Measure("CER", "share", "lower", "characters misrecognised", gap=False),
    "wer": Measure("WER", "share", "lower", "words misrecognised", gap=False),
    "speaker_target": Measure(
        "to target", "cosine", "higher", "speaker embedding to the target's training centroid"
    ),
    "speaker_source": Measure(
        "to source", "cosine", "lower", "speaker embedding to the source's training centroid"
    ),
    "speaker_margin": Measure("margin", "cosine", "higher", "to target less to source"),
    "eer": Measure(
        "EER",
        "share",
        "higher",
        "error of telling outputs from the target's held-out recordings by their cosine to its "
        "centroid: 0.5 cannot be told apart",
        of_set=True,
    ),
    "f0_rmse": Measure("F0 RMSE", "cents", "lower", "to the target's same sentence, both voiced"),
    "f0_correlation": Measure("F0 corr.", "", "higher", "of log-F0, on the same frames"),
    "f0_voicing": Measure(
        "voicing error", "share", "lower", "aligned frames that differ in voicing"
    ),
    "f0_distribution": Measure(
        "F0 distribution",
        "cents",
        "lower",
        "earth mover's distance of log-F0 to the target's training recordings",
        of_set=True,
    ),
    "mcd": Measure("MCD", "dB", "lower", "mel-cepstral distortion to the same sentence"),
    "modulation": Measure(
        "modulation",
        "dB",
        "lower",
        "distance of modulation spectra to the target's training recordings",
        of_set=True,
    ),
    "gv_ratio": Measure(
        "GV ratio",
        "",
        "real",
        "global variance over that of the target's training recordings: 1 is natural, "
        "less is blurred",
        of_set=True,
    ),
    "dnsmos_overall": Measure("DNSMOS", "MOS", "higher", "predicted overall quality", gap=False),
    "dnsmos_signal": Measure("SIG", "MOS", "higher", "predicted quality of the speech", gap=False),
    "dnsmos_background": Measure("BAK", "MOS", "higher", "predicted absence of noise", gap=False),
    "dnsmos_p808": Measure("P.808", "MOS", "higher", "predicted opinion of listeners", gap=False),
}
"""Columns of the table."""


NEEDS_PARALLEL = "MCD, F0 RMSE, F0 correlation, voicing error"
"""Measures that need the target's recordings of the same sentences."""
NEEDS_TEXT = "CER, WER"
"""Measures that need the words."""


@dataclass(frozen=True)
class VoiceTask:
    """What the outputs of every system are measured against; all waves (T,) at one rate."""

    rate: int
    """[Hz]."""
    sources: Sequence[np.ndarray]
    """The held-out utterances that were converted."""
    targets: Sequence[np.ndarray] | None
    """The target's recordings of the same sentences, in the same order; None: not parallel."""
    target_recordings: Sequence[np.ndarray]
    """Held-out recordings of the target, of any sentences; never empty."""
    target_training: Sequence[np.ndarray]
    """Recordings of the target that are not scored: the reference of voice and distributions."""
    source_training: Sequence[np.ndarray]
    """Recordings of the source that are not scored: its voice."""
    texts: Sequence[str] | None = None
    """The words of every source, where they are known."""


JUDGED = "judged.sqlite"
"""Cache of what judges said of recordings: in the folder of a corpus below `dump/`, or beside
results."""


def ask_anew(judge: str, waves: Sequence[np.ndarray], rate: int, ask: Ask) -> np.ndarray:
    """Ask a judge about every wave; what a board does that remembers nothing."""
    return ask(waves, rate)


class VoiceBoard:
    """Measures systems one by one, and sets them beside each other.

    The target's recordings are measured at once. A system that is added again replaces its old
    row, so a script can score one model after another beside anchors that were measured once.
    """

    def __init__(
        self,
        task: VoiceTask,
        nj: int = 1,
        recall: Recall = ask_anew,
        analyse: Analyse = analyse_all,
    ) -> None:
        """Analyse sources and references on `nj` processes.

        Args:
            task: what systems are measured against.
            nj: processes; no value depends on it.
            recall: asks the networks that judge voices, or remembers what they said.
            analyse: analyses waves, or remembers what it found.
        """
        self.task = task
        self._recall = recall
        self._analyse = analyse
        self.nj = nj
        self.not_run: dict[str, str] = {}
        """Measures that could not be taken, each with the reason."""
        self.pooled: dict[str, dict[str, Pooled]] = {}
        self.analyses: dict[str, list[VoiceAnalysis]] = {}
        """Of every system's waves."""
        self.sources = analyse(task.sources, task.rate, nj)
        self.reference = analyse(task.target_training, task.rate, nj)
        self._verifier = self._where_available("speaker", lambda: _Verifier(task, recall))
        self._opinions = self._where_available("DNSMOS", naturalness.OpinionPredictor)
        if task.texts is None:
            self.not_run[NEEDS_TEXT] = "no text of the sources is known"
        parallel = task.targets is not None
        if not parallel:
            self.not_run[NEEDS_PARALLEL] = "no recordings of the same sentences by the target"
        assert task.targets is None or len(task.targets) == len(task.sources), "one target a source"
        real = task.targets if task.targets is not None else task.target_recordings
        self.analyses[REAL] = analyse(real, task.rate, nj)
        self._targets = self.analyses[REAL] if parallel else None
        self.pooled[REAL] = self._measure(real, self.analyses[REAL], same_sentences=parallel)

    def add(self, name: str, waves: Sequence[np.ndarray]) -> None:
        """Measure a system.

        Args:
            name: its row in the table; `copy` is the one that gaps are closed from.
            waves: one (T,) per source, in the sources' order.
        """
        assert name != REAL and len(waves) == len(self.task.sources), (name, len(waves))
        same = name == COPY and all(a is b for a, b in zip(waves, self.task.sources, strict=True))
        found = self.sources if same else self._analyse(waves, self.task.rate, self.nj)
        self.pooled[name] = self._measure(waves, found)
        self.analyses[name] = found

    def scores(self, resamples: int = 1000, seed: int = 0) -> Scores:
        """Set all systems beside each other, with intervals from paired resamples."""
        return table.tabulate(self.pooled, self.layout, resamples, seed)

    def per_utterance(self) -> dict[str, dict[str, np.ndarray]]:
        """Return the values (N,) of every source's conversion, `[measure][system]`.

        The target is among the systems where the task is parallel; measures of a whole set, such
        as the global-variance ratio, have no such values.
        """
        return table.per_utterance(self.pooled, self.layout)

    @property
    def layout(self) -> Layout:
        """How the table is laid out."""
        paired = frozenset(MEASURES) if self.task.targets is not None else frozenset[str]()
        return Layout(MEASURES, REAL, paired)

    def settings(self) -> dict[str, str]:
        """Spell out how every measure is taken."""
        size = len(self.task.sources)
        return {
            "content kept": f"top-1 of {size} sources (chance {1 / size:.3f}), cepstra c1-c12 "
            "without level or F0, mean and variance normalised",
            "F0": f0_error.SETTINGS,
            "MCD": mcd.SETTINGS,
            "modulation, GV ratio": modulation.SETTINGS,
            "CER, WER": transcript.SETTINGS,
            "speaker": speaker.SETTINGS,
            "DNSMOS": naturalness.SETTINGS,
            "references": f"F0 distribution, modulation and GV ratio against "
            f"{len(self.reference)} recordings that the target's voice is known from",
        }

    def _measure(
        self,
        waves: Sequence[np.ndarray],
        analyses: Sequence[VoiceAnalysis],
        same_sentences: bool = True,
    ) -> dict[str, Pooled]:
        """Take every measure of a system; in the order of the sources, or of any recordings."""
        pooled = {
            "f0_distribution": f0_error.distribution(analyses, self.reference),
            "modulation": modulation.distance(analyses, self.reference),
            "gv_ratio": modulation.variance_ratio(analyses, self.reference),
        }
        if same_sentences:
            hits = content.retrieve([a.bands for a in analyses], [s.bands for s in self.sources])
            pooled["content"] = ratio(hits, np.ones(len(hits)))
        if same_sentences and self._targets is not None:
            paths = mcd.align_all(analyses, self._targets)
            pooled["mcd"] = mcd.pooled(analyses, self._targets, paths)
            pooled |= f0_error.pooled(analyses, self._targets, paths)
        if same_sentences and self.task.texts is not None and NEEDS_TEXT not in self.not_run:
            pooled |= self._words(waves, self.task.texts)
        if self._verifier is not None:
            pooled |= self._verifier.measure(waves)
        if self._opinions is not None:
            ask = self._opinions.predict_all
            opinions = self._recall(naturalness.judge(), waves, self.task.rate, ask)
            pooled |= naturalness.pooled(opinions)
        return pooled

    def _words(self, waves: Sequence[np.ndarray], texts: Sequence[str]) -> dict[str, Pooled]:
        heard = self._where_available(
            NEEDS_TEXT, lambda: transcript.transcribe_all(waves, self.task.rate, self.nj)
        )
        return {} if heard is None else transcript.pooled(texts, heard)

    def _where_available(self, measure: str, make: Callable[[], T]) -> T | None:
        """Make something of an optional package; None, with the reason kept, where it is absent."""
        try:
            return make()
        except MetricUnavailable as error:
            self.not_run[measure] = str(error)
            return None


class _Verifier:
    """Tells voices apart: the encoder, both centroids and the target's own scores."""

    def __init__(self, task: VoiceTask, recall: Recall) -> None:
        self.encoder = speaker.SpeakerEncoder()
        self.rate = task.rate
        self.recall = recall
        self.judge = f"speaker, Resemblyzer {version('resemblyzer')}: {speaker.SETTINGS}"
        self.target = speaker.centroid(self._embed(task.target_training))
        self.source = speaker.centroid(self._embed(task.source_training))
        self.genuine = speaker.cosines(self._embed(task.target_recordings), self.target)

    def measure(self, waves: Sequence[np.ndarray]) -> dict[str, Pooled]:
        embedded = self._embed(waves)
        scores = speaker.cosines(embedded, self.target)
        rate = {"eer": speaker.equal_error(scores, self.genuine)}
        return speaker.pooled(embedded, self.target, self.source) | rate

    def _embed(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        return self.recall(self.judge, waves, self.rate, self.encoder.embed_all)


def markdown(scores: Scores) -> str:
    """Lay the values out as a table: one line per system, one column per measure."""
    return table.markdown(scores, MEASURES)

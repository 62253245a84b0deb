"""The scoreboard: every system on every measure, beside its anchors, with paired intervals.

    task = Task(rate=16000, sources=speech, accomps=music, real_a=sung[::2], real_b=sung[1::2])
    scores = score({"copy": speech, "F0 snap": snapped, "model": outputs}, task)
    print(markdown(scores))

The systems' waves are in the order of the sources. Row `real singing` is half B of the held-out
singing; half A is the reference of every distance.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vctool.evaluation.page import table
from vctool.evaluation.page.table import COPY, Derived, Layout, Measure, Scores
from vctool.metrics import content, distribution, harmony, notes, pitch
from vctool.metrics.analysis import Analysis, analyse_all
from vctool.metrics.bootstrap import Pooled, difference_of_ratios, earth_mover, ratio

__all__ = ["COPY", "MEASURES", "REAL", "Board", "Scores", "Task", "markdown", "score"]

REAL = "real singing"
"""The row of held-out singing."""

MEASURES: dict[str, Measure] = {
    "content": Measure("content kept", "share", "higher", "own source nearest among all sources"),
    "distance": Measure(
        "distance", "", "lower", "squared Frechet distance to real singing", of_set=True
    ),
    "distance_envelope": Measure(
        "of envelope", "", "lower", "the same, of the cepstra alone", of_set=True
    ),
    "distance_melody": Measure(
        "of melody", "", "lower", "the same, of the F0 features alone", of_set=True
    ),
    "note_stability": Measure(
        "note stability", "share", "real", "voiced frames in notes held 100 ms or longer"
    ),
    "note_lengths": Measure(
        "note lengths off",
        "ms",
        "lower",
        "earth mover's distance of note lengths to real singing",
        of_set=True,
    ),
    "intervals": Measure(
        "intervals off",
        "st",
        "lower",
        "earth mover's distance of intervals to real singing",
        of_set=True,
    ),
    "chroma": Measure("chroma", "share", "real", "accompaniment's chroma at the sung pitch class"),
    "chroma_shuffled": Measure(
        "chroma, shuffled", "share", "real", "the same against other utterances' accompaniments"
    ),
    "chroma_gain": Measure("chroma gain", "share", "real", "own accompaniment less others"),
    "f0_error": Measure("F0 error", "cents", "lower", "mean |F0 - paired truth|"),
    "f0_error_folded": Measure(
        "F0 error, folded", "cents", "lower", "the same with octaves forgiven"
    ),
    "words": Measure("words", "share", "higher", "slots of the grammar that are recognised"),
    "retention": Measure(
        "word retention", "share", "higher", "(words - chance) / (words truly sung - chance)"
    ),
}
"""Columns of the table."""


@dataclass(frozen=True)
class Task:
    """What the outputs of every system are measured against; all waves (T,) at one rate."""

    rate: int
    """[Hz]."""
    sources: Sequence[np.ndarray]
    """The held-out speech that was converted."""
    real_a: Sequence[np.ndarray]
    """Half of the held-out singing: the reference."""
    real_b: Sequence[np.ndarray]
    """The other half: the row `real singing`."""
    accomps: Sequence[np.ndarray] | None = None
    """The accompaniment of every source, where the recipe has one."""
    real_b_accomps: Sequence[np.ndarray] | None = None
    """The accompaniment that every recording of half B was sung to."""
    truths: Sequence[np.ndarray] | None = None
    """The same sentences truly sung, where the corpus is paired."""
    time_maps: Sequence[np.ndarray] | None = None
    """(K, 2) moments of speech and of true singing with the same sound [s], one per truth."""
    words: Callable[[Sequence[np.ndarray], int], np.ndarray] | None = None
    """Maps (waves, rate) to (N, 2): words right, words; where there is a recogniser."""
    words_chance: float = 0.0
    """Share of words that blind guessing gets right."""


class Board:
    """Measures systems one by one, and sets them beside each other.

    Real singing is measured at once. A system that is added again replaces its old row, so a
    script can score one model after another beside anchors that were measured once.
    """

    def __init__(self, task: Task, nj: int = 1) -> None:
        """Analyse sources and references on `nj` processes."""
        self.task = task
        self.nj = nj
        self.sources = analyse_all(task.sources, task.rate, nj)
        self.real = analyse_all(task.real_a, task.rate, nj)
        self.truths = analyse_all(task.truths, task.rate, nj) if task.truths is not None else None
        self.chromas = _chromas(task.accomps, task.rate)
        self.reference = distribution.Reference.of(self.real)
        self.analyses: dict[str, list[Analysis]] = {}
        self.pooled: dict[str, dict[str, Pooled]] = {}
        real = analyse_all(task.real_b, task.rate, nj)
        self.analyses[REAL] = real
        self.pooled[REAL] = _shared(real, self.reference, self.real)
        self.pooled[REAL] |= _harmony(real, _chromas(task.real_b_accomps, task.rate))
        if task.truths is not None and task.words is not None:
            counts = task.words(task.truths, task.rate)
            self.pooled[REAL]["words"] = ratio(counts[:, 0], counts[:, 1])

    def add(
        self,
        name: str,
        waves: Sequence[np.ndarray],
        time_maps: Sequence[np.ndarray] | None = None,
    ) -> None:
        """Measure a system.

        Args:
            name: its row in the table; `copy` is the one that gaps are closed from.
            waves: one (T,) per source, in the sources' order.
            time_maps: (K, 2) moments of the source and of the output with the same sound [s], one
                per source; where not given, outputs are taken to be lengthened evenly.
        """
        task = self.task
        assert name != REAL and len(waves) == len(task.sources), (name, len(waves))
        same = name == COPY and all(a is b for a, b in zip(waves, task.sources, strict=True))
        analyses = self.sources if same else analyse_all(waves, task.rate, self.nj)
        pooled = _shared(analyses, self.reference, self.real) | _harmony(analyses, self.chromas)
        if self.truths is not None and task.time_maps is not None:
            maps = time_maps or [
                np.array([[0.0, 0.0], [source.seconds, one.seconds]])
                for one, source in zip(analyses, self.sources, strict=True)
            ]
            pooled |= _truth(analyses, self.truths, task.time_maps, maps)
        hits = content.retrieve([one.bands for one in analyses], [s.bands for s in self.sources])
        pooled["content"] = ratio(hits, np.ones(len(hits)))
        if task.words is not None:
            counts = task.words(waves, task.rate)
            pooled["words"] = ratio(counts[:, 0], counts[:, 1])
        self.analyses[name], self.pooled[name] = analyses, pooled

    def scores(self, resamples: int = 1000, seed: int = 0) -> Scores:
        """Set all systems beside each other, with intervals from paired resamples."""
        return table.tabulate(self.pooled, self.layout, resamples, seed)

    def per_utterance(self) -> dict[str, dict[str, np.ndarray]]:
        """Return the values (N,) of every source's conversion, `[measure][system]`.

        Distances to real singing are of a whole set and have no such values.
        """
        return table.per_utterance(self.pooled, self.layout)

    @property
    def layout(self) -> Layout:
        """How the table is laid out; the real row is paired where it is the paired truth."""
        chance = self.task.words_chance
        kept = Derived("retention", "words", lambda own, real: (own - chance) / (real - chance))
        exact = {"f0_error": 0.0, "f0_error_folded": 0.0}
        return Layout(MEASURES, REAL, frozenset({"words"}), exact, (kept,))


def score(
    systems: Mapping[str, Sequence[np.ndarray]],
    task: Task,
    *,
    resamples: int = 1000,
    seed: int = 0,
    nj: int = 1,
) -> Scores:
    """Score systems, one wave per source each, and real singing.

    Args:
        systems: waves by system; `copy` is needed for gaps to be closed.
        task: sources, references, accompaniments and truths.
        resamples: bootstrap resamples of every interval.
        seed: of the bootstrap.
        nj: processes (with more than one, the caller's script needs a `__main__` guard).
    """
    board = Board(task, nj)
    for name, waves in systems.items():
        board.add(name, waves)
    return board.scores(resamples, seed)


def markdown(scores: Scores) -> str:
    """Lay the values out as a table: one line per system, one column per measure."""
    return table.markdown(scores, MEASURES)


def _chromas(accomps: Sequence[np.ndarray] | None, rate: int) -> list[np.ndarray] | None:
    if accomps is None:
        return None
    chromas = [harmony.chroma(wave, rate) for wave in accomps]
    return chromas if any(harmony.has_sound(chroma) for chroma in chromas) else None


def _shared(
    analyses: Sequence[Analysis], reference: distribution.Reference, real: Sequence[Analysis]
) -> dict[str, Pooled]:
    """Measure what needs nothing but the outputs and real singing."""
    held = [
        np.count_nonzero(notes.held_frames(one.notes, len(one.f0))) if one.voiced else 0
        for one in analyses
    ]
    lengths = np.stack([notes.length_histogram(one.notes) for one in analyses])
    steps = np.stack([notes.interval_histogram(one.notes) for one in analyses])
    real_lengths = np.sum([notes.length_histogram(one.notes) for one in real], axis=0)
    real_steps = np.sum([notes.interval_histogram(one.notes) for one in real], axis=0)
    return {
        "distance": reference.distance(analyses),
        "distance_envelope": reference.distance(analyses, distribution.ENVELOPE),
        "distance_melody": reference.distance(analyses, distribution.MELODY),
        "note_stability": ratio(np.array(held), np.array([one.voiced for one in analyses])),
        "note_lengths": earth_mover(lengths, real_lengths, 50.0),
        "intervals": earth_mover(steps, real_steps, 1.0),
    }


def _harmony(
    analyses: Sequence[Analysis], chromas: Sequence[np.ndarray] | None
) -> dict[str, Pooled]:
    if chromas is None:
        return {}
    own = np.array(
        [harmony.agreement(one.f0, own) for one, own in zip(analyses, chromas, strict=True)]
    )
    others = np.array(
        [harmony.shuffled_agreement(one.f0, k, chromas) for k, one in enumerate(analyses)]
    )
    return {
        "chroma": ratio(own[:, 0], own[:, 1]),
        "chroma_shuffled": ratio(others[:, 0], others[:, 1]),
        "chroma_gain": difference_of_ratios(own, others),
    }


def _truth(
    analyses: Sequence[Analysis],
    truths: Sequence[Analysis],
    to_truth: Sequence[np.ndarray],
    to_output: Sequence[np.ndarray],
) -> dict[str, Pooled]:
    """Compare F0 with the truth's at equal moments of the source, to which both maps lead."""
    rows = []
    for one, truth, sung, made in zip(analyses, truths, to_truth, to_output, strict=True):
        moments = np.unique(np.concatenate([sung[:, 0], made[:, 0]]))
        moments = moments[moments <= min(sung[-1, 0], made[-1, 0])]
        cents = pitch.cents_off(
            one.f0,
            truth.f0,
            np.interp(moments, made[:, 0], made[:, 1]),
            np.interp(moments, sung[:, 0], sung[:, 1]),
        )
        folded = pitch.fold_octaves(cents)
        rows.append([np.abs(cents).sum(), np.abs(folded).sum(), cents.size])
    sums = np.array(rows)
    return {
        "f0_error": ratio(sums[:, 0], sums[:, 2]),
        "f0_error_folded": ratio(sums[:, 1], sums[:, 2]),
    }

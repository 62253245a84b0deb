"""A table of systems: every system on every measure, with paired intervals.

    board = VoiceBoard(VoiceTask(...))
    board.add("copy", sources)
    board.add("model", outputs)
    print(markdown(board.scores()))

Systems' waves are in the order of the sources. The metrics that declare the board are asked in the
order of their columns (`vctool.metrics.base`); a board says what there is to measure against.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from vctool.evaluation.page import table
from vctool.evaluation.page.table import Layout, Scores
from vctool.metrics.base import Measure, Metric, Row, measures, on_board
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.unavailable import MetricUnavailable

A = TypeVar("A")

JUDGED = "judged.sqlite"
"""File of cached outputs of evaluation networks (judges): in the folder of a corpus below `dump/`,
or beside results."""


class Board(Generic[A]):
    """Measures systems one by one, and sets them beside each other.

    The real recordings are measured at once. A system that is added again replaces its old row, so
    a script can score one model after another beside baselines that were measured once.

    Args:
        row: the unconverted sources, with all that systems are measured against.
        real: the real recordings. Where they come in several rows, a metric is taken on the first
            that has what it needs.
        lacking: reasons why fields of `row` are None, by field name.
    """

    name: ClassVar[str]
    """Name by which metrics declare that they belong to this board."""
    real_row: ClassVar[str]
    """The row of the real recordings."""
    analysis: ClassVar[type]
    """Analysis of every wave, unless a metric reads the waves themselves."""

    def __init__(
        self, row: Row[A], real: Sequence[Row[A]], lacking: Mapping[str, str] | None = None
    ) -> None:
        self.metrics = on_board(self.name)
        for metric in self.metrics:
            assert metric.analysis in (None, self.analysis), (self.name, metric)
        self.row = row
        self.not_run: dict[str, str] = {}
        """Metrics that could not be taken, each with the reason."""
        self.rows: dict[str, Row[A]] = {}
        """Rows that were measured, by system."""
        self.pooled: dict[str, dict[str, Pooled]] = {}
        """By system and measure."""
        for metric in self.metrics:
            for need in _absent(metric, row):
                told = (lacking or {}).get(need, f"there are no {need.replace('_', ' ')}")
                self.not_run.setdefault(metric.title, told)
        self.apart: set[str] = set()
        """Rows of other recordings, which are in no pair."""
        self._paired: set[str] = set()
        self._measure_real(real)

    def _measure_real(self, real: Sequence[Row[A]]) -> None:
        """Measure the real recordings, and set the values that they have by definition."""
        found: dict[str, Pooled] = {}
        for row in real:
            new = self._measure(row, found)
            found |= new
            self._paired |= set(new) if row.paired else set()
        if real[0].paired:
            ones = np.ones(len(real[0].outputs))
            for name, measure in self.measures.items():
                if measure.exact is not None and name not in found:
                    found[name] = ratio(measure.exact * ones, ones)
                    self._paired.add(name)
        self.rows[self.real_row], self.pooled[self.real_row] = real[0], found

    def add(
        self,
        name: str,
        waves: Sequence[np.ndarray],
        *,
        rate: int | None = None,
        seconds: np.ndarray | None = None,
        time_maps: Sequence[np.ndarray] | None = None,
    ) -> None:
        """Measure a system.

        Args:
            name: its row in the table; `copy` is the unconverted source, where gap closed is 0.
            waves: one (T,) per source, in the sources' order.
            rate: of the waves [Hz]; that of the sources where not given.
            seconds: (N,) processor time that each took [s], where it was taken.
            time_maps: (K, 2) moments of the source and of the output with the same sound [s], one
                per source; where not given, outputs are taken to be lengthened evenly.
        """
        sources = self.row.outputs
        assert name != self.real_row and len(waves) == len(sources), (name, len(waves))
        same = all(a is b for a, b in zip(waves, sources.waves, strict=True))
        outputs = sources if same else sources.like(waves, rate)
        row = replace(self.row, outputs=outputs, seconds=seconds, time_maps=time_maps)
        self.rows[name], self.pooled[name] = row, self._measure(row)

    def scores(self, resamples: int = 1000, seed: int = 0) -> Scores:
        """Set all systems beside each other, with intervals from paired resamples."""
        return table.tabulate(self.pooled, self.layout, resamples, seed)

    def per_utterance(self) -> dict[str, dict[str, np.ndarray]]:
        """Return the values (N,) of single utterances, `[measure][system]`.

        The real recordings are among the systems where they are of the same utterances; measures
        of a whole set have no such values.
        """
        return table.per_utterance(self.pooled, self.layout)

    def settings(self) -> dict[str, str]:
        """Return the settings of every metric."""
        taken = {name for found in self.pooled.values() for name in found}
        return {
            metric.title: metric.settings(self.row)
            for metric in self.metrics
            if taken & set(metric.measures)
        }

    @property
    def analyses(self) -> dict[str, list[A]]:
        """Analyses of every system's waves."""
        return {name: row.outputs.analyses for name, row in self.rows.items()}

    @property
    def packages(self) -> list[str]:
        """Packages whose versions affect the values of the metrics."""
        return list(dict.fromkeys(one for metric in self.metrics for one in metric.packages))

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """The columns, in order."""
        return {name: one for metric in self.metrics for name, one in metric.measures.items()}

    @property
    def layout(self) -> Layout:
        """Layout of the table."""
        exact = {
            name: one.exact
            for name, one in self.measures.items()
            if one.exact is not None and name not in self.pooled[self.real_row]
        }
        derived = tuple(one for metric in self.metrics for one in metric.derived(self.row))
        paired, apart = frozenset(self._paired), frozenset(self.apart)
        return Layout(self.measures, self.real_row, paired, exact, derived, apart)

    def _measure(self, row: Row[A], known: Mapping[str, Pooled] | None = None) -> dict[str, Pooled]:
        """Compute every metric whose needs a row meets, except those that are known already."""
        found: dict[str, Pooled] = {}
        for metric in self.metrics:
            taken = known is not None and not known.keys().isdisjoint(metric.measures)
            if taken or metric.title in self.not_run or _absent(metric, row):
                continue
            try:
                values = metric.measure(row)
            except MetricUnavailable as error:
                self.not_run[metric.title] = str(error)
                continue
            found |= {name: one for name, one in values.items() if name in metric.measures}
        return found


def _absent(metric: Metric, row: Row[Any]) -> list[str]:
    """Name the fields that a metric needs and a row lacks."""
    return [need for need in metric.needs if getattr(row, need) is None]


class Scorable(Protocol):
    """A scoring problem for scripts: recordings with a board and baselines."""

    def board(self, nj: int = 1) -> Board[Any]:
        """Open a board, with the real recordings measured, on `nj` processes."""

    def baselines(self, nj: int = 1) -> dict[str, list[np.ndarray]]:
        """Make the waves of every baseline, one per source, by their names."""


def anchored_board(task: Scorable, nj: int = 1) -> Board[Any]:
    """Measure every baseline once, for scripts that score one model after another.

        board = anchored_board(VoiceTask(16000, sources, targets, targets, b_train, a_train))
        board.add("model", outputs)
        print(markdown(board.scores()))

    Args:
        task: what is measured against what.
        nj: processes (with more than one, a script needs a `__main__` guard).
    """
    board = task.board(nj)
    for name, waves in task.baselines(nj).items():
        board.add(name, waves)
    return board


def markdown(scores: Scores) -> str:
    """Format the values as a table: one line per system, one column per measure."""
    return table.markdown(scores, measures())

"""The contract of a metric: what a file `vctool/metrics/NAME.py` defines.

    TITLE = "MCD"                             its name where settings or reasons are told
    MEASURES = {"mcd": Measure("MCD", "dB", "lower", "mel-cepstral distortion")}    its columns
    BOARDS = {"voices": Stand(60)}            the tables that it stands in, and where
    ANALYSIS = VoiceAnalysis                  what it reads of waves; None: the waves, or any
    NEEDS = ("targets",)                      fields of `Row` without which it cannot be taken
    SETTINGS = "order 24, alpha 0.42, ..."    how it is taken
    PACKAGES = ("resemblyzer",)               optional packages whose versions decide the values

    def measure(row: Row[VoiceAnalysis]) -> dict[str, Pooled]: ...

`measure` may leave columns out. It raises `MetricUnavailable` where an optional package is absent.
Two functions are optional: `settings(row)` in place of `SETTINGS` where these depend on what is
scored, and `derived(row)`, which returns the columns that follow from others. ANALYSIS, NEEDS and
PACKAGES may be left out.

The folder is the registry: a module here with `MEASURES` is a metric. Boards ask for those that
stand on them, so that tables, settings, reports and comparisons need no other edit.
"""

import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from vctool.metrics.bootstrap import Pooled

A = TypeVar("A")
S = TypeVar("S")
T = TypeVar("T")

Ask = Callable[[Sequence[np.ndarray], int], np.ndarray]
"""A slow judge: maps N waves and their rate to (N, D)."""
Recall = Callable[[str, Sequence[np.ndarray], int, Ask], np.ndarray]
"""Runs a judge, or returns its cached outputs; the text holds all that these depend on."""


class Each(Protocol):
    """Applies a function to every item, in order, on some processes."""

    def __call__(self, one: Callable[[S], T], items: Sequence[S]) -> list[T]:
        """Return what `one` makes of each item."""


def serially(one: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """Apply a function to every item in this process."""
    return [one(item) for item in items]


def ask_anew(judge: str, waves: Sequence[np.ndarray], rate: int, ask: Ask) -> np.ndarray:
    """Run a judge on every wave; the default of a board without a cache."""
    return ask(waves, rate)


@dataclass(frozen=True)
class Measure:
    """What a column of a table means."""

    title: str
    unit: str
    better: str
    """`higher`, `lower`, or `real`: the nearer to the real recordings the better."""
    meaning: str
    gap: bool = True
    """Whether a conversion should move from the copy's value towards the real one's."""
    of_set: bool = False
    """Whether it tells of a whole set of utterances, so that a single one has no value."""
    exact: float | None = None
    """Value that the real recordings have by definition, such as 0 away from themselves."""
    overview: bool = False
    """Whether it stands in the tables that have a line for every direction."""
    bounds: tuple[float, float] | None = None
    """Least and largest value that it can have, in which its intervals are kept; where None, 0 to 1
    for a share and no bounds for others."""

    @property
    def limits(self) -> tuple[float, float]:
        """Its bounds; infinite where it has none."""
        if self.bounds is not None:
            return self.bounds
        return (0.0, 1.0) if self.unit == "share" else (-math.inf, math.inf)


@dataclass(frozen=True)
class Derived:
    """A measure that follows from another's values."""

    name: str
    """Its name."""
    source: str
    """The measure that it follows from; it stands right after that in the table."""
    finish: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Turns a system's values and the real recordings' (R,) into its own (R,)."""


@dataclass(frozen=True)
class Stand:
    """How a metric stands on a board."""

    place: int
    """Its columns stand after those of metrics with smaller places."""
    measures: Mapping[str, Measure] | None = None
    """Its columns there, where they are not `MEASURES`."""
    settings: str | None = None
    """How it is taken there, where that is not `SETTINGS`."""


class Group(Generic[A]):
    """Waves that belong together, and their analyses, each computed once.

    Args:
        waves: each (T,).
        rate: of all of them [Hz].
        analyse: maps waves and their rate to their analyses.
    """

    def __init__(
        self,
        waves: Sequence[np.ndarray],
        rate: int,
        analyse: Callable[[Sequence[np.ndarray], int], list[A]],
    ) -> None:
        self.waves = waves
        self.rate = rate
        self._analyse = analyse
        self._found: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.waves)

    @cached_property
    def analyses(self) -> list[A]:
        """What the board's analysis finds in every wave; computed when first asked for."""
        return self._analyse(self.waves, self.rate)

    def like(self, waves: Sequence[np.ndarray], rate: int | None = None) -> "Group[A]":
        """Group other waves, which are analysed alike; at this group's rate where none is given."""
        return Group(waves, self.rate if rate is None else rate, self._analyse)

    def once(self, what: str, find: Callable[[], T]) -> T:
        """Return what `find` found of these waves when it was first asked for by this name."""
        if what not in self._found:
            self._found[what] = find()
        found: T = self._found[what]
        return found


@dataclass(frozen=True)
class Row(Generic[A]):
    """One row of a board: a system's outputs, and everything that they may be measured against.

    What a task does not have is None; so is, in the row of real recordings, what these have no
    part in. A metric is only asked about rows that have everything in its `NEEDS`.
    """

    outputs: Group[A]
    """The N waves that are measured."""
    sources: Group[A] | None = None
    """(N) what the outputs were made from, in their order; None: these say something else."""
    targets: Group[A] | None = None
    """(N) what the outputs should be: the target's recordings of the same sentences, or the very
    recordings that a vocoder was given the features of."""
    styles: Group[A] | None = None
    """(N) recordings whose sound every output was to have."""
    notes: Sequence[np.ndarray] | None = None
    """(N) each (K, 3), the notes that every output is to have: onset [s], offset [s] and pitch
    (MIDI number)."""
    recordings: Group[A] | None = None
    """Held-out recordings of the target, of any sentences."""
    reference: Group[A] | None = None
    """Recordings of the target that are not scored: what its voice and distributions are known
    from."""
    reference_singers: Sequence[str] | None = None
    """Whose every recording of the reference is, where that is known."""
    source_reference: Group[A] | None = None
    """The same of the source."""
    texts: Sequence[str] | None = None
    """(N) the words of every output."""
    grammar: tuple[tuple[str, ...], ...] | None = None
    """The words that may stand at each position of these texts."""
    accompaniments: Group[A] | None = None
    """(N) what every output was sung to."""
    time_maps: Sequence[np.ndarray] | None = None
    """(N) each (K, 2), moments of source and output with the same sound [s]; None: lengthened
    evenly."""
    target_maps: Sequence[np.ndarray] | None = None
    """(N) each (K, 2), moments of source and target with the same sound [s]."""
    in_place: bool = False
    """Whether frame k of an output belongs to frame k of its target."""
    seconds: np.ndarray | None = None
    """(N,) processor time that every output took [s]."""
    paired: bool = True
    """Whether the outputs are, in order, of the utterances that all systems are measured on."""
    seed: int = 0
    """Of what a metric draws."""
    each: Each = serially
    """Applies functions to waves, on the board's processes."""
    recall: Recall = ask_anew
    """Asks slow judges, or remembers what they said."""
    tools: dict[str, Any] = field(default_factory=dict)
    """What `once` has made; all rows of a board share it."""

    def once(self, what: str, make: Callable[[], T]) -> T:
        """Return a tool, such as a network, that is made for the first row that wants it.

        Raises:
            MetricUnavailable: a package that it needs is not installed.
        """
        if what not in self.tools:
            self.tools[what] = make()
        tool: T = self.tools[what]
        return tool


FIELDS = frozenset(one.name for one in fields(Row))
"""What `NEEDS` may name."""


@dataclass(frozen=True)
class Metric:
    """A metric as its file declares it for one board."""

    name: str
    """Of its file."""
    title: str
    place: int
    measures: Mapping[str, Measure]
    analysis: type | None
    needs: tuple[str, ...]
    packages: tuple[str, ...]
    measure: Callable[[Row[Any]], dict[str, Pooled]]
    settings: Callable[[Row[Any]], str]
    """Says how it is taken."""
    derived: Callable[[Row[Any]], tuple[Derived, ...]]


def boards() -> list[str]:
    """Name the boards that any metric stands on, sorted."""
    return sorted({board for module in _modules() for board in module.BOARDS})


def on_board(board: str) -> list[Metric]:
    """Return the metrics of a board, in the order of their columns."""
    found = [_metric(module, board) for module in _modules() if board in module.BOARDS]
    found.sort(key=lambda metric: (metric.place, metric.name))
    columns = [column for metric in found for column in metric.measures]
    assert len(columns) == len(set(columns)), f"board {board}: one column twice: {columns}"
    return found


def measures_on(board: str) -> dict[str, Measure]:
    """Return the columns of a board, in order."""
    return {name: one for metric in on_board(board) for name, one in metric.measures.items()}


def measures() -> dict[str, Measure]:
    """Return the columns of all boards; title, unit and what is better are the same on each."""
    return {name: one for board in boards() for name, one in measures_on(board).items()}


def _modules() -> list[ModuleType]:
    """Import the modules of this folder, and return those that are metrics."""
    import vctool.metrics

    found = (
        importlib.import_module(f"{vctool.metrics.__name__}.{entry.name}")
        for entry in pkgutil.iter_modules(vctool.metrics.__path__)
    )
    return [module for module in found if hasattr(module, "MEASURES")]


def _metric(module: ModuleType, board: str) -> Metric:
    """Read what a metric's file declares."""
    stand: Stand = module.BOARDS[board]
    needs = tuple(getattr(module, "NEEDS", ()))
    assert FIELDS.issuperset(needs), f"{module.__name__}: NEEDS = {needs}, not fields of Row"

    def settings(row: Row[Any]) -> str:
        told = getattr(module, "settings", None)
        return str(stand.settings or (module.SETTINGS if told is None else told(row)))

    return Metric(
        name=module.__name__.rpartition(".")[2],
        title=module.TITLE,
        place=stand.place,
        measures=module.MEASURES if stand.measures is None else stand.measures,
        analysis=getattr(module, "ANALYSIS", None),
        needs=needs,
        packages=tuple(getattr(module, "PACKAGES", ())),
        measure=module.measure,
        settings=settings,
        derived=getattr(module, "derived", lambda row: ()),
    )

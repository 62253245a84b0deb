"""From pooled measures to the table: values, intervals, gaps closed and paired differences.

Every board has a `Layout`: its measures, and the two rows between which the gap closed is
measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vctool.markdown import table
from vctool.metrics.base import Derived, Measure
from vctool.metrics.bootstrap import Pooled, centred, gap_closed, interval, resample_counts

COPY = "copy"
"""The row of the unconverted sources, where gap closed is 0; in every table."""


@dataclass(frozen=True)
class Layout:
    """Layout of one board's table."""

    measures: Mapping[str, Measure]
    """Columns by name, in order."""
    real: str
    """Row of the real recordings, where gap closed is 1."""
    paired: frozenset[str] = frozenset()
    """Measures whose real row is of the same utterances as the outputs, so that it shares their
    draws."""
    exact: Mapping[str, float] = field(default_factory=dict)
    """Values that the real row has by definition, such as 0 away from itself."""
    derived: tuple[Derived, ...] = ()
    """Measures that follow from others."""
    apart: frozenset[str] = frozenset()
    """Rows of other recordings than the outputs and the real row, which are drawn by themselves."""


@dataclass(frozen=True)
class Score:
    """One system on one measure."""

    value: float
    low: float
    high: float
    gap: float = float("nan")
    """Gap closed from the copy to the real row; NaN where those two do not differ for certain."""
    gap_low: float = float("nan")
    gap_high: float = float("nan")
    versus: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """This minus another system on the same utterances: difference, low, high."""


Scores = dict[str, dict[str, Score]]
"""`scores[measure][system]`."""


def tabulate(
    pooled: Mapping[str, Mapping[str, Pooled]], layout: Layout, resamples: int, seed: int
) -> Scores:
    """Turn pooled measures `pooled[system][measure]` into values, intervals, gaps and pairs.

    Systems other than the real row were measured on the same utterances and share their draws; so
    does the real row in the measures that the layout calls paired.
    """
    drawn = _draw(pooled, layout, resamples, seed)
    return {
        measure: _row(*one, layout.real, layout.measures[measure].gap)
        for measure, one in drawn.items()
    }


def tabulate_mean(
    sets: Sequence[Mapping[str, Mapping[str, Pooled]]],
    layout: Layout,
    resamples: int,
    seed: int,
) -> Scores:
    """Average the scores of `tabulate` over several sets of utterances, equally weighted.

    Sets of as many utterances share their draws: where the n-th utterance of every set is the same
    sentence, sentences are resampled, since what they do to a score they do in all sets.

    Args:
        sets: `pooled[system][measure]` of each set; what one of them lacks is left out.
        layout: of all of them.
        resamples: of every interval.
        seed: of the draws.
    """
    drawn = [_draw(pooled, layout, resamples, seed) for pooled in sets]
    scores: Scores = {}
    for measure in drawn[0]:
        found = [one[measure] for one in drawn if measure in one]
        names = [name for name in found[0][0] if all(name in values for values, _ in found)]
        if len(found) == len(sets) and names:
            values = {name: float(np.mean([one[name] for one, _ in found])) for name in names}
            draws = {name: np.mean([one[name] for _, one in found], axis=0) for name in names}
            scores[measure] = _row(values, draws, layout.real, layout.measures[measure].gap)
    return scores


def _draw(
    pooled: Mapping[str, Mapping[str, Pooled]], layout: Layout, resamples: int, seed: int
) -> dict[str, tuple[dict[str, float], dict[str, np.ndarray]]]:
    """Return every system's value and its draws (R,) by measure."""
    real = layout.real
    sizes = {name: _size(parts) for name, parts in pooled.items() if parts}
    outputs = [name for name in sizes if name != real and name not in layout.apart]
    shared = resample_counts(sizes[outputs[0]], resamples, seed) if outputs else None
    alone = resample_counts(sizes[real], resamples, seed + 1) if real in sizes else None
    found: dict[str, tuple[dict[str, float], dict[str, np.ndarray]]] = {}
    for measure, meaning in layout.measures.items():
        values: dict[str, float] = {}
        draws: dict[str, np.ndarray] = {}
        for name, parts in pooled.items():
            if measure in parts:
                own = name == real and measure not in layout.paired
                counts = alone if own or shared is None else shared
                if name in layout.apart:
                    counts = resample_counts(sizes[name], resamples, seed + 2)
                assert counts is not None
                values[name] = parts[measure].value
                shifted = centred(parts[measure].draws(counts), values[name])
                draws[name] = shifted.clip(*meaning.limits)
        if measure in layout.exact and values:
            values[real], draws[real] = (
                layout.exact[measure],
                np.full(resamples, layout.exact[measure]),
            )
        if values:
            found[measure] = values, draws
        for other in layout.derived:
            if other.source == measure and real in values:
                shares = {
                    name: float(other.finish(np.array([value]), np.array([values[real]]))[0])
                    for name, value in values.items()
                }
                drawn = {name: other.finish(one, draws[real]) for name, one in draws.items()}
                found[other.name] = shares, drawn
    return found


def _size(parts: Mapping[str, Pooled]) -> int:
    """Count the utterances that a system's measures rest on."""
    return len(next(iter(parts.values())).sums)


def per_utterance(
    pooled: Mapping[str, Mapping[str, Pooled]], layout: Layout
) -> dict[str, dict[str, np.ndarray]]:
    """Return the values (N,) of single utterances, `[measure][system]`.

    Measures of a whole set have none. The real row is among the systems where it is paired.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for measure, meaning in layout.measures.items():
        if meaning.of_set:
            continue
        for name, parts in pooled.items():
            if measure in parts and (name != layout.real or measure in layout.paired):
                values = parts[measure].finish(parts[measure].sums)
                found.setdefault(measure, {})[name] = values
    return found


def _row(
    values: Mapping[str, float], draws: Mapping[str, np.ndarray], real: str, gaps: bool
) -> dict[str, Score]:
    row: dict[str, Score] = {}
    has_gap = gaps and COPY in values and real in values
    if has_gap:  # where copy and real recordings cannot be told apart, there is no gap to close
        low, high = interval(draws[COPY] - draws[real])
        has_gap = low > 0 or high < 0
    for name in values:
        gap = (float("nan"), float("nan"), float("nan"))
        if has_gap and name not in (COPY, real):
            closed = gap_closed(draws[name], draws[COPY], draws[real])
            point = gap_closed(*(np.array([values[k]]) for k in (name, COPY, real)))
            gap = (float(point[0]), *interval(closed))
        versus = {
            other: (values[name] - values[other], *interval(draws[name] - draws[other]))
            for other in values
            if other != name
        }
        row[name] = Score(values[name], *interval(draws[name]), *gap, versus)
    return row


def markdown(scores: Scores, measures: Mapping[str, Measure]) -> str:
    """Lay the values out as a table: one line per system, one column per measure."""
    names: list[str] = []
    for row in scores.values():
        names += [name for name in row if name not in names]
    rows = [
        [name, *[cell(row[name].value) if name in row else "-" for row in scores.values()]]
        for name in names
    ]
    heads = ["system", *[measures[measure].title for measure in scores]]
    return "\n".join(table(heads, rows))


def cell(value: float) -> str:
    """Format a value to about three significant digits; `-` if there is none.

    >>> cell(0.71234), cell(43.21), cell(812.3), cell(float("nan"))
    ('0.712', '43.2', '812', '-')
    """
    if not np.isfinite(value):
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 3
    return f"{value:.{digits}f}"

"""From pooled measures to the table: values, intervals, gaps closed and paired differences."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vctool.metrics.bootstrap import Pooled, centred, gap_closed, interval, resample_counts

COPY, REAL = "copy", "real singing"
"""The two systems between which a gap is closed; rows of every table."""


@dataclass(frozen=True)
class Measure:
    """What a column of the table means."""

    title: str
    unit: str
    better: str
    """`higher`, `lower`, or `real`: the nearer to real singing the better."""
    meaning: str


MEASURES: dict[str, Measure] = {
    "content": Measure("content kept", "share", "higher", "own source nearest among all sources"),
    "distance": Measure("distance", "", "lower", "squared Frechet distance to real singing"),
    "distance_envelope": Measure("of envelope", "", "lower", "the same, of the cepstra alone"),
    "distance_melody": Measure("of melody", "", "lower", "the same, of the F0 features alone"),
    "note_stability": Measure(
        "note stability", "share", "real", "voiced frames in notes held 100 ms or longer"
    ),
    "note_lengths": Measure(
        "note lengths off", "ms", "lower", "earth mover's distance of note lengths to real singing"
    ),
    "intervals": Measure(
        "intervals off", "st", "lower", "earth mover's distance of intervals to real singing"
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


@dataclass(frozen=True)
class Score:
    """One system on one measure."""

    value: float
    low: float
    high: float
    gap: float = float("nan")
    """Gap closed from the copy to real singing; NaN where those two do not differ for certain."""
    gap_low: float = float("nan")
    gap_high: float = float("nan")
    versus: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """This less another system on the same utterances: difference, low, high."""


Scores = dict[str, dict[str, Score]]
"""`scores[measure][system]`."""


def tabulate(
    pooled: Mapping[str, Mapping[str, Pooled]],
    resamples: int,
    seed: int,
    words_chance: float = 0.0,
) -> Scores:
    """Turn pooled measures `pooled[system][measure]` into values, intervals, gaps and pairs.

    Systems other than `REAL` were measured on the same utterances and share their draws; so does
    `REAL` where it is the paired truth (words).
    """
    outputs = [name for name in pooled if name != REAL]
    sizes = {name: len(pooled[name]["distance"].sums) for name in pooled}
    shared = resample_counts(sizes[outputs[0]], resamples, seed) if outputs else None
    alone = resample_counts(sizes[REAL], resamples, seed + 1)
    scores: Scores = {}
    for measure in MEASURES:
        values: dict[str, float] = {}
        draws: dict[str, np.ndarray] = {}
        for name, parts in pooled.items():
            if measure in parts:
                paired = name != REAL or measure == "words"
                counts = shared if paired and shared is not None else alone
                values[name] = parts[measure].value
                draws[name] = centred(parts[measure].draws(counts), values[name])
        if measure.startswith("f0_error") and values:  # the truth is 0 away from itself
            values[REAL], draws[REAL] = 0.0, np.zeros(resamples)
        if values:
            scores[measure] = _row(values, draws)
        if measure == "words" and REAL in values:
            kept = values[REAL] - words_chance
            shares = {name: (value - words_chance) / kept for name, value in values.items()}
            drawn = {
                name: (drawn - words_chance) / (draws[REAL] - words_chance)
                for name, drawn in draws.items()
            }
            scores["retention"] = _row(shares, drawn)
    return scores


def _row(values: Mapping[str, float], draws: Mapping[str, np.ndarray]) -> dict[str, Score]:
    row: dict[str, Score] = {}
    has_gap = COPY in values and REAL in values
    if has_gap:  # where copy and real singing cannot be told apart, there is no gap to close
        low, high = interval(draws[COPY] - draws[REAL])
        has_gap = low > 0 or high < 0
    for name in values:
        gap = (float("nan"), float("nan"), float("nan"))
        if has_gap and name not in (COPY, REAL):
            closed = gap_closed(draws[name], draws[COPY], draws[REAL])
            point = gap_closed(*(np.array([values[k]]) for k in (name, COPY, REAL)))
            gap = (float(point[0]), *interval(closed))
        versus = {
            other: (values[name] - values[other], *interval(draws[name] - draws[other]))
            for other in values
            if other != name
        }
        row[name] = Score(values[name], *interval(draws[name]), *gap, versus)
    return row


def markdown(scores: Scores) -> str:
    """Lay the values out as a table: one line per system, one column per measure."""
    names: list[str] = []
    for row in scores.values():
        names += [name for name in row if name not in names]
    heads = [MEASURES[measure].title for measure in scores]
    lines = ["| system | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name in names:
        cells = [cell(row[name].value) if name in row else "-" for row in scores.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(value: float) -> str:
    """Write a value with as many digits as it deserves; `-` where there is none.

    >>> cell(0.71234), cell(43.21), cell(812.3), cell(float("nan"))
    ('0.712', '43.2', '812', '-')
    """
    if not np.isfinite(value):
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 3
    return f"{value:.{digits}f}"

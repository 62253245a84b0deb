"""Two scored systems against each other, utterance by utterance.

The mean difference has a paired bootstrap interval (Efron, 1979) and the two-sided p of Wilcoxon's
signed-rank test (1945), which assumes no distribution of the differences.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vctool.errors import DataError
from vctool.evaluation.page import utterances
from vctool.evaluation.page.table import cell
from vctool.metrics.base import Measure, measures
from vctool.metrics.bootstrap import interval, ratio, resample_counts

SYSTEM = "model"
"""The row that is compared: the system of an experiment, or the recordings of a scored folder."""
RESAMPLES = 2000
"""Bootstrap resamples of every interval."""
ALPHA = 0.05
"""Largest p of a difference that counts: few utterances have narrow intervals by chance."""
LEAST = 2
"""Minimum number of utterances in common."""
NAMED = 3
"""Maximum number of missing utterances that are named."""
HEADS = ("measure", "a", "b", "a - b", "better", "p", "n")
WHOLE_HEADS = ("measure of a whole set", "a", "b")


@dataclass(frozen=True)
class Difference:
    """One measure of two systems on the utterances that both have."""

    first: float
    """Mean of the first system."""
    second: float
    """Mean of the second."""
    low: float
    """Lower end of the 95 % interval of `first - second`."""
    high: float
    p: float
    """Of Wilcoxon's signed-rank test, two-sided, not corrected for the number of measures."""
    count: int
    """Utterances."""

    @property
    def value(self) -> float:
        """Mean difference, first minus second."""
        return self.first - self.second

    @property
    def certain(self) -> bool:
        """Whether the difference is significant: the interval excludes zero, and p is small."""
        return (self.low > 0 or self.high < 0) and self.p < ALPHA


@dataclass(frozen=True)
class Comparison:
    """What `compare` found."""

    differences: dict[str, Difference]
    """By measure."""
    only: tuple[tuple[str, ...], tuple[str, ...]]
    """Utterances that only the first, only the second has."""
    whole: dict[str, tuple[float, float]]
    """Values of measures that only a whole set of utterances has; these have no pairs."""
    left_out: dict[str, str]
    """Measures that were not compared, and why."""
    pooled: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    """Values of the two reports, which pool all frames of all utterances, of those compared."""

    def is_pooled_otherwise(self, measure: str) -> bool:
        """Whether a report has another value of a measure than the mean of these utterances."""
        one = self.differences[measure]
        reports = self.pooled.get(measure, (None, None))
        return any(
            value is not None and cell(value) != cell(mean)
            for value, mean in zip(reports, (one.first, one.second), strict=True)
        )


def plain(found: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON has it."""
    told = {
        measure: asdict(one) | {"difference": one.value, "certain": one.certain}
        for measure, one in found.differences.items()
    }
    return asdict(found) | {"differences": told}


def compare(first: Path, second: Path, seed: int = 0) -> Comparison:
    """Compare the systems of two scored folders (`exp/<name>`, or `--out` of `vctool evaluate`).

    Args:
        first: folder with results.json and utterances.tsv.
        second: another.
        seed: of the bootstrap.

    Raises:
        DataError: a folder was not scored, the two were scored on different recordings, or they
            have fewer than `LEAST` utterances in common.
    """
    results = [_results(folder) for folder in (first, second)]
    if results[0].data_hash != results[1].data_hash:
        raise DataError(
            f"{first} and {second}: scored on different recordings (data {results[0].data_hash} "
            f"and {results[1].data_hash}), so their utterances cannot be paired; score both on "
            "the same"
        )
    tables = [_own(folder) for folder in (first, second)]
    names = [sorted({name for one in table.values() for name in one}) for table in tables]
    common = set(names[0]) & set(names[1])
    if len(common) < LEAST:
        raise DataError(
            f"{first} and {second}: have {len(common)} utterances in common; "
            f"at least {LEAST} are needed"
        )
    differences: dict[str, Difference] = {}
    left_out: dict[str, str] = {}
    for measure in dict.fromkeys([*tables[0], *tables[1]]):
        absent = [
            str(place)
            for place, table in zip((first, second), tables, strict=True)
            if measure not in table
        ]
        if absent:
            left_out[measure] = f"not measured in {absent[0]}"
            continue
        one, other = tables[0][measure], tables[1][measure]
        paired = sorted(one.keys() & other.keys())
        if len(paired) < LEAST:
            left_out[measure] = f"has a value in both for {len(paired)} utterances only"
            continue
        values = [np.array([side[name] for name in paired]) for side in (one, other)]
        differences[measure] = difference(values[0], values[1], seed)
    only = (
        tuple(name for name in names[0] if name not in common),
        tuple(name for name in names[1] if name not in common),
    )
    own, others = (one.values for one in results)
    whole = {
        measure: (value, others[measure])
        for measure, value in own.items()
        if measure in others and measure not in differences and measure not in left_out
    }
    pooled = {measure: (own.get(measure), others.get(measure)) for measure in differences}
    return Comparison(differences, only, whole, left_out, pooled)


def difference(first: np.ndarray, second: np.ndarray, seed: int = 0) -> Difference:
    """Compare two systems' values (N,) of the same utterances; finite, N >= 2."""
    apart = first - second
    counts = resample_counts(len(apart), RESAMPLES, seed)
    low, high = interval(ratio(apart, np.ones(len(apart))).draws(counts))
    return Difference(
        float(first.mean()), float(second.mean()), low, high, signed_rank(apart), len(apart)
    )


def signed_rank(apart: np.ndarray) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test; utterances that tie are left out."""
    from scipy.stats import wilcoxon

    apart = apart[apart != 0]
    return float(wilcoxon(apart).pvalue) if len(apart) else 1.0


def preface(first: Path, second: Path) -> str:
    """Return the caption of `rows`."""
    return (
        f"a = {first}, b = {second}: means over the same utterances, and the mean of a - b with "
        "its 95 % interval; 'better' is the better of the two, where that interval excludes 0 and "
        f"p < {ALPHA}. p: Wilcoxon's signed-rank test, not corrected for the number of measures. "
        "'by utterance': every utterance counts alike; RESULTS.md has another value, of all frames."
    )


def rows(found: Comparison) -> list[tuple[str, ...]]:
    """Return a row, in the order of `HEADS`, for every measure with values per utterance."""
    known = measures()
    return [
        (
            _title(measure, known) + ", by utterance" * found.is_pooled_otherwise(measure),
            cell(one.first),
            cell(one.second),
            f"{cell(one.value)} ({cell(one.low)}..{cell(one.high)})",
            _better(measure, one, known),
            _probability(one.p),
            str(one.count),
        )
        for measure, one in found.differences.items()
    ]


def whole_rows(found: Comparison) -> list[tuple[str, ...]]:
    """Return a row, in the order of `WHOLE_HEADS`, for every measure of a whole set."""
    known = measures()
    return [
        (_title(measure, known), cell(first), cell(second))
        for measure, (first, second) in found.whole.items()
    ]


def remarks(found: Comparison, first: Path, second: Path) -> list[str]:
    """List what was not compared, one line each."""
    told = [f"not compared: {measure}: {why}" for measure, why in found.left_out.items()]
    for folder, names in zip((first, second), found.only, strict=True):
        if names:
            told.append(f"only in {folder}: {_few(names)}")
    return told


def _own(folder: Path) -> dict[str, dict[str, float]]:
    """Return `values[measure][utterance]` of the folder's own system."""
    path = folder / utterances.NAME
    found = {
        measure: rows[SYSTEM] for measure, rows in utterances.read(path).items() if SYSTEM in rows
    }
    if not found:
        raise DataError(f"{path}: has no row '{SYSTEM}'; run stage 6 (evaluate) again")
    return found


class _Results(NamedTuple):
    """The fields that are read from results.json."""

    data_hash: str
    values: dict[str, float]
    """Values of the folder's own system, by measure."""


def _results(folder: Path) -> _Results:
    path = folder / "results.json"
    try:
        found = json.loads(path.read_text("utf-8"))
        values = {
            measure: row[SYSTEM]["value"]
            for measure, row in found["measures"].items()
            if SYSTEM in row
        }
        known = {measure: float(one) for measure, one in values.items() if one is not None}
        return _Results(str(found["data_hash"]), known)
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; `vctool evaluate` scores an experiment or a folder"
        ) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not the results of stage 6 ({error}); score it again") from None


def _title(measure: str, known: Mapping[str, Measure]) -> str:
    one = known.get(measure)
    if one is None:
        return measure
    return f"{one.title} [{one.unit}]" if one.unit else one.title


def _better(measure: str, one: Difference, known: Mapping[str, Measure]) -> str:
    """Name the better system, if the difference is significant and the measure has a direction."""
    wish = known[measure].better if measure in known else ""
    if not one.certain or wish not in ("higher", "lower"):
        return "-"
    return "a" if (one.value > 0) == (wish == "higher") else "b"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _probability(p: float) -> str:
    return f"{p:.2g}" if p >= 1e-4 else "< 0.0001"

"""The first sentences of a report: how it went, in words that need no table.

What counts is certain: paired differences whose 95 % interval excludes zero, over the measures that
have a better end. Measures that should be near the real recordings' value count by the gap closed.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from vctool.evaluation.page.table import COPY, Scores
from vctool.metrics.base import Measure

BEATEN = "the formula to beat"
"""How the description of the baseline ends that a model should surpass."""


def of_model(
    scores: Scores,
    measures: Mapping[str, Measure],
    model: str,
    systems: Mapping[str, str],
    real_words: str,
) -> str:
    """Say how a model did against the unconverted copy and the formula to beat.

    Args:
        scores: `scores[measure][system]`.
        measures: the measures by name.
        model: the model's row.
        systems: what every row is, in a few words.
        real_words: what the real recordings are called.

    Returns:
        Some sentences; empty where the model has no row beside a copy.
    """
    formula = next((name for name, what in systems.items() if what.endswith(BEATEN)), None)
    rivals = {COPY: "the unconverted copy"}
    if formula is not None:
        rivals[formula] = f"{BEATEN} ({formula})"
    told = []
    for rival, words in rivals.items():
        better, worse, total = _tally(scores, measures, model, rival)
        if total:
            told.append(f"than {words} on {better}, worse on {worse}, of {total} measures")
    gaps = [
        row[model].gap for row in scores.values() if model in row and np.isfinite(row[model].gap)
    ]
    sentences = []
    if told:
        sentences.append(f"The {model} is certainly better {'; '.join(told)}.")
    if gaps:
        sentences.append(
            f"Of the way from the copy to {real_words} it goes {np.median(gaps):.2f}, the median "
            f"of {len(gaps)} measures (0: like the copy, 1: like {real_words})."
        )
    return " ".join(sentences)


def of_rows(
    scores: Scores, measures: Mapping[str, Measure], baseline: str, rows: Iterable[str]
) -> str:
    """Say how several systems did against one of them.

    Args:
        scores: `scores[measure][system]`.
        measures: the measures by name.
        baseline: the row that the others are compared with.
        rows: the others.
    """
    told = []
    for row in rows:
        better, worse, total = _tally(scores, measures, row, baseline)
        if total:
            told.append(f"{row} is better on {better} and worse on {worse} of {total} measures")
    return f"Against {baseline}, for certain: {'; '.join(told)}." if told else ""


def _tally(
    scores: Scores, measures: Mapping[str, Measure], system: str, rival: str
) -> tuple[int, int, int]:
    """Count measures on which a system is certainly better, certainly worse, and all with pairs."""
    better = worse = total = 0
    for measure, row in scores.items():
        wish = measures[measure].better
        if wish not in ("higher", "lower") or system not in row or rival not in row[system].versus:
            continue
        _, low, high = row[system].versus[rival]
        total += 1
        above, below = low > 0, high < 0
        better += above if wish == "higher" else below
        worse += below if wish == "higher" else above
    return better, worse, total

"""The first sentences of a report."""

import math

from vctool.evaluation.page.table import COPY, Score, Scores
from vctool.evaluation.page.verdict import of_model, of_rows
from vctool.metrics.base import Measure

MEASURES = {
    "mcd": Measure("MCD", "dB", "lower", ""),
    "content": Measure("content kept", "share", "higher", ""),
    "gv": Measure("GV ratio", "", "real", ""),
    "f0": Measure("F0", "cents", "lower", ""),
}
SYSTEMS = {COPY: "as it is", "formula": "moved: the formula to beat", "cheat": "games it"}


def score(versus: dict[str, tuple[float, float]], gap: float = math.nan) -> Score:
    pairs = {name: (sum(ends) / 2, *ends) for name, ends in versus.items()}
    return Score(0.0, 0.0, 0.0, gap, gap, gap, pairs)


def scores() -> Scores:
    return {
        # less is better: certainly less than the copy, more than the formula
        "mcd": {"model": score({COPY: (-2, -1), "formula": (0.1, 0.4), "cheat": (-9, -8)}, 0.8)},
        # more is better: certainly less than the copy, and perhaps less than the formula
        "content": {"model": score({COPY: (-0.3, -0.1), "formula": (-0.1, 0.1)})},
        # has no better end: only its gap counts
        "gv": {"model": score({COPY: (1, 2), "formula": (1, 2)}, 0.2)},
        # was not paired with the formula
        "f0": {"model": score({COPY: (-1, 1)}, 0.5)},
    }


def test_a_model_is_set_against_the_copy_and_the_formula_in_words() -> None:
    assert of_model(scores(), MEASURES, "model", SYSTEMS, "the target") == (
        "The model is certainly better than the unconverted copy on 1, worse on 1, of 3 measures; "
        "than the formula to beat (formula) on 0, worse on 1, of 2 measures. Of the way from the "
        "copy to the target it goes 0.50, the median of 3 measures (0: like the copy, 1: like the "
        "target)."
    )


def test_what_is_not_there_is_not_spoken_of() -> None:
    told = of_model(scores(), MEASURES, "model", {COPY: "as it is"}, "the target")
    assert "formula" not in told and "than the unconverted copy on 1" in told
    flat = {"gv": {"model": score({COPY: (1, 2)})}}
    assert of_model(flat, MEASURES, "model", SYSTEMS, "the target") == ""
    assert of_model({"mcd": {COPY: score({})}}, MEASURES, "model", SYSTEMS, "the target") == ""


def test_rows_without_a_model_are_set_against_the_baseline() -> None:
    found = {
        "mcd": {"a": score({"base": (-2, -1)}), "b": score({"base": (1, 2)})},
        "content": {"a": score({"base": (0, 1)}), "c": score({})},
    }
    assert of_rows(found, MEASURES, "base", ["a", "b", "c"]) == (
        "Against base, for certain: a is better on 1 and worse on 0 of 2 measures; b is better on "
        "0 and worse on 1 of 1 measures."
    )
    assert of_rows(found, MEASURES, "base", ["c"]) == ""

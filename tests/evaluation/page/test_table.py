"""The mean over several sets of utterances: of values, of gaps and of paired differences."""

from collections.abc import Mapping

import numpy as np
import pytest

from vctool.evaluation.page.table import COPY, Layout, tabulate, tabulate_mean
from vctool.metrics.base import Measure, measures
from vctool.metrics.bootstrap import Pooled, ratio

LAYOUT = Layout(
    {"away": Measure("away", "dB", "lower", "distance"), "odd": Measure("odd", "", "lower", "")},
    "real",
    frozenset({"away"}),
)


def means(**rows: np.ndarray) -> Mapping[str, Mapping[str, Pooled]]:
    """A set in which every system's measure is the mean of these values (N,)."""
    return {name: {"away": ratio(row, np.ones(len(row)))} for name, row in rows.items()}


def drawn(seed: int, size: int = 30) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    sentence = rng.normal(0, 1, size)  # what a sentence does to all systems alike
    return {
        "model": 4 + sentence + rng.normal(0, 0.1, size),
        COPY: 9 + sentence + rng.normal(0, 0.1, size),
        "real": 1 + 0 * sentence,
    }


def test_the_mean_of_one_set_is_that_set() -> None:
    one = means(**drawn(0))
    mean, own = tabulate_mean([one], LAYOUT, 200, 5), tabulate(one, LAYOUT, 200, 5)
    assert repr(mean) == repr(own)  # NaN is not equal to itself


def test_values_average_with_the_same_weight_whatever_the_sizes() -> None:
    sets = [drawn(0, 30), drawn(1, 10)]
    found = tabulate_mean([means(**one) for one in sets], LAYOUT, 200, 0)["away"]
    for name in ("model", COPY, "real"):
        expected = np.mean([one[name].mean() for one in sets])
        assert found[name].value == pytest.approx(expected), name
    difference, low, high = found["model"].versus[COPY]
    assert difference == pytest.approx(found["model"].value - found[COPY].value)
    assert low < difference < high < 0
    assert 0.5 < found["model"].gap < 0.7


def test_independent_sets_narrow_the_interval_and_the_same_sentences_do_not() -> None:
    def width(*sets: dict[str, np.ndarray]) -> float:
        row = tabulate_mean([means(**one) for one in sets], LAYOUT, 4000, 0)["away"]["model"]
        return row.high - row.low

    once = drawn(0)
    others = [drawn(seed) for seed in range(1, 9)]
    assert width(*[once] * 8) == pytest.approx(width(once))  # eight times the same: no news
    # Sets that share nothing but their draws: each brings news of its own.
    assert width(*others) < 0.55 * np.mean([width(one) for one in others])


def test_what_a_set_lacks_is_left_out() -> None:
    whole, part = means(**drawn(0)), means(**drawn(1))
    whole = {name: {**row, "odd": row["away"]} for name, row in whole.items()}
    found = tabulate_mean([whole, {name: part[name] for name in ("model", COPY)}], LAYOUT, 100, 0)
    assert set(found) == {"away"} and set(found["away"]) == {"model", COPY}


@pytest.mark.parametrize(
    ("kept", "low", "high"), [((1, 1, 1, 0), 0.2, 1.0), ((0, 0, 0, 1), 0.0, 0.8)]
)
def test_the_interval_of_a_share_stays_within_0_and_1(
    kept: tuple[int, ...], low: float, high: float
) -> None:
    """Resamples are shifted so that their mean is the value, which may carry them beyond."""
    right = np.array(kept, float)
    draws = {name: {"away": ratio(right, np.ones(4))} for name in ("model", COPY)}
    share = Measure("kept", "share", "higher", "kept")
    free = Measure("kept", "share", "higher", "kept", bounds=(-np.inf, np.inf))
    found = []
    for measure in (share, free):
        layout = Layout({"away": measure}, "real")
        found.append(tabulate(draws, layout, 1000, 0)["away"]["model"])
    assert low <= found[0].low + 0.06 and found[0].high - 0.06 <= high
    assert 0 <= found[0].low < found[0].value < found[0].high <= 1
    assert not 0 <= found[1].low <= found[1].high <= 1  # what was to be mended


def test_what_may_leave_0_and_1_says_so() -> None:
    known = measures()
    limits = {name: one.limits for name, one in known.items() if one.unit == "share"}
    assert limits.pop("cer") == limits.pop("wer") == (0, np.inf)
    assert limits.pop("wer_added") == limits.pop("retention") == (-np.inf, np.inf)
    assert limits.pop("chroma_gain") == (-1, 1)
    assert set(limits.values()) == {(0.0, 1.0)}
    assert known["mcd"].limits == (-np.inf, np.inf)

"""Paired comparison of two scored systems, against scipy and known answers."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vctool import cli
from vctool.errors import DataError
from vctool.evaluation.page import utterances
from vctool.evaluation.page.compare import compare, difference, remarks, rows, signed_rank

NAMES = [f"ann-{index:02d}" for index in range(20)]


def scored(
    folder: Path,
    values: dict[str, np.ndarray],
    names: list[str] = NAMES,
    data: str = "aaaa",
    ratio: float = 0.9,
) -> Path:
    """Write what scoring leaves behind: `values[measure]` of the row `model`, a constant `copy`,
    and a global-variance ratio, which single utterances do not have."""
    rows = {
        measure: {"copy": np.full(len(names), 9.0), "model": column}
        for measure, column in values.items()
    }
    utterances.write(folder / "utterances.tsv", names, rows)
    means = {measure: float(np.nanmean(column)) for measure, column in values.items()}
    measures = {
        measure: {"model": {"value": mean}}
        for measure, mean in (means | {"gv_ratio": ratio}).items()
    }
    (folder / "results.json").write_text(json.dumps({"data_hash": data, "measures": measures}))
    return folder


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    column = np.array([0.1 + 0.2, np.nan, -1e-17])
    utterances.write(tmp_path / "t.tsv", ["c", "a", "b"], {"mcd": {"model": column}})
    assert utterances.read(tmp_path / "t.tsv") == {
        "mcd": {"model": {"c": 0.1 + 0.2, "b": -1e-17}}  # to the last bit, NaN left out
    }


def test_pairing_finds_what_means_alone_would_not(tmp_path: Path) -> None:
    """Utterances differ by 5, systems by 0.1: only pairs tell, and only where it is there."""
    rng = np.random.default_rng(0)
    base = rng.normal(8.0, 5.0, 20)
    better = base - 0.1 + rng.normal(0.0, 0.05, 20)
    same = base + rng.permutation(np.repeat([-0.05, 0.05], 10))
    first = scored(tmp_path / "a", {"mcd": better, "content": same})
    second = scored(tmp_path / "b", {"mcd": base, "content": base})
    found = compare(first, second).differences
    assert found["mcd"].certain and found["mcd"].p < 1e-4
    assert found["mcd"].value == pytest.approx(float(np.mean(better - base)))
    # the interval is that of a mean: 1.96 standard errors to either side
    error = 1.96 * np.std(better - base) / np.sqrt(20)
    assert found["mcd"].high - found["mcd"].value == pytest.approx(error, rel=0.2)
    assert not found["content"].certain and found["content"].p > 0.5
    assert found["content"].low < 0 < found["content"].high


def test_the_pair_is_found_by_name_not_by_place(tmp_path: Path) -> None:
    values = np.arange(20.0)
    first = scored(tmp_path / "a", {"mcd": values})
    second = scored(tmp_path / "b", {"mcd": values[::-1] + 1}, NAMES[::-1])
    one = compare(first, second).differences["mcd"]
    assert (one.value, one.low, one.high) == (-1.0, -1.0, -1.0)


def test_signed_ranks_are_the_textbook_ones() -> None:
    # ten differences of one sign: 2 / 2^10; ties of the systems say nothing
    assert signed_rank(np.arange(1.0, 11.0)) == pytest.approx(2 / 2**10)
    assert signed_rank(np.concatenate([np.arange(1.0, 11.0), np.zeros(5)])) == pytest.approx(
        2 / 2**10
    )
    assert signed_rank(np.zeros(4)) == 1.0


def test_a_system_does_not_differ_from_itself() -> None:
    one = difference(np.arange(6.0), np.arange(6.0))
    assert (one.value, one.low, one.high, one.p, one.certain) == (0.0, 0.0, 0.0, 1.0, False)


def test_a_few_utterances_of_one_sign_are_no_proof(tmp_path: Path) -> None:
    """The interval of three differences excludes 0 whenever they have one sign; p says 0.25."""
    names = NAMES[:3]
    first = scored(tmp_path / "a", {"mcd": np.array([7.0, 6.0, 8.0])}, names)
    second = scored(tmp_path / "b", {"mcd": np.array([6.0, 5.5, 7.9])}, names)
    found = compare(first, second)
    one = found.differences["mcd"]
    assert one.low > 0 and one.p == 0.25 and not one.certain
    (row,) = rows(found)
    assert row[4] == "-"
    # six of one sign are: p = 2 / 2^6
    assert difference(np.arange(6.0) + 1, np.arange(6.0)).certain


def test_a_value_that_the_report_pools_otherwise_has_another_name(tmp_path: Path) -> None:
    """The RMSE over all frames is not the mean of the utterances' own."""
    values = {"f0_rmse": np.arange(20.0) + 300, "mcd": np.arange(20.0)}
    first, second = scored(tmp_path / "a", values), scored(tmp_path / "b", values)
    assert [row[0] for row in rows(compare(first, second))] == ["F0 RMSE [cents]", "MCD [dB]"]
    path = second / "results.json"
    results = json.loads(path.read_text())
    results["measures"]["f0_rmse"]["model"]["value"] = 340.0
    path.write_text(json.dumps(results))
    found = rows(compare(first, second))
    assert [row[0] for row in found] == ["F0 RMSE [cents], by utterance", "MCD [dB]"]
    assert found[0][1:3] == ("310", "310")


def test_what_only_one_has_is_named(tmp_path: Path) -> None:
    first = scored(tmp_path / "a", {"mcd": np.arange(20.0), "words": np.ones(20)})
    second = scored(tmp_path / "b", {"mcd": np.arange(18.0)}, NAMES[2:])
    found = compare(first, second)
    assert found.only == (("ann-00", "ann-01"), ())
    assert found.differences["mcd"].count == 18
    assert remarks(found, first, second) == [
        f"not compared: words: not measured in {second}",
        f"only in {first}: ann-00, ann-01",
    ]


def test_other_recordings_are_refused(tmp_path: Path) -> None:
    first = scored(tmp_path / "a", {"mcd": np.arange(20.0)}, data="aaaa")
    second = scored(tmp_path / "b", {"mcd": np.arange(20.0)}, data="bbbb")
    with pytest.raises(DataError, match=r"different recordings \(data aaaa and bbbb\)"):
        compare(first, second)
    (second / "results.json").write_text("{")
    with pytest.raises(DataError, match=r"b/results\.json: not the results"):
        compare(first, second)
    (second / "results.json").unlink()
    with pytest.raises(DataError, match=r"b/results\.json: no such file"):
        compare(first, second)


def test_a_spoilt_table_is_named_by_its_line(tmp_path: Path) -> None:
    first = scored(tmp_path / "a", {"mcd": np.arange(20.0)})
    second = scored(tmp_path / "b", {"mcd": np.arange(20.0)})
    with (second / "utterances.tsv").open("a") as file:
        file.write("ann-03\tmodel\tmcd\t?\n")
    with pytest.raises(DataError, match=r"utterances\.tsv:42: .*not utterance, system"):
        compare(first, second)
    utterances.write(second / "utterances.tsv", NAMES, {"mcd": {"copy": np.ones(20)}})
    with pytest.raises(DataError, match="has no row 'model'"):
        compare(first, second)


def test_the_command_prints_the_table(tmp_path: Path) -> None:
    first = scored(tmp_path / "a", {"mcd": np.arange(20.0)})
    second = scored(tmp_path / "b", {"mcd": np.arange(20.0) + 0.5}, ratio=0.5)
    said = CliRunner().invoke(cli.app, ["compare", str(first), str(second)])
    assert said.exit_code == 0, said.output
    _, *lines = said.stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["measure", "a", "b", "a", "-", "b", "better", "p", "n"],
        ["MCD", "[dB]", "9.500", "10.0", "-0.500", "(-0.500..-0.500)", "a", "<", "0.0001", "20"],
        ["measure", "of", "a", "whole", "set", "a", "b"],
        ["GV", "ratio", "0.900", "0.500"],
    ]


def test_better_depends_on_the_measure(tmp_path: Path) -> None:
    low, high = np.arange(20.0), np.arange(20.0) + 1
    first = scored(tmp_path / "a", {"mcd": low, "content": low, "unheard_of": low})
    second = scored(tmp_path / "b", {"mcd": high, "content": high, "unheard_of": high})
    better = {row[0]: row[4] for row in rows(compare(first, second))}
    assert better == {"MCD [dB]": "a", "content kept [share]": "b", "unheard_of": "-"}

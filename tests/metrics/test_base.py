"""What every metric of the folder has to say, whoever wrote it."""

import pytest

from vctool.metrics import base
from vctool.metrics.base import Metric
from vctool.metrics.bootstrap import Pooled

BOARDS = base.boards()


def test_the_folder_is_the_registry() -> None:
    assert {"singing", "voices", "vocoders"} <= set(BOARDS)
    assert [one.name for one in base.on_board("vocoders")] == [
        "resynthesis",
        "mcd",
        "f0_error",
        "content",
        "transcript",
        "distillmos",
        "naturalness",
        "real_time",
    ]
    assert base.on_board("nowhere") == []


@pytest.mark.parametrize("board", BOARDS)
def test_titles_of_a_board_are_told_apart(board: str) -> None:
    metrics = base.on_board(board)
    places = [metric.place for metric in metrics]
    assert len(set(places)) == len(places)
    for titles in (
        [metric.title for metric in metrics],
        [measure.title for measure in base.measures_on(board).values()],
    ):
        assert len(set(titles)) == len(titles) and all(titles)


def test_a_column_means_the_same_on_every_board() -> None:
    """So that a comparison can name its title, unit and which is better without knowing where."""
    for board in BOARDS:
        for name, one in base.measures_on(board).items():
            other = base.measures()[name]
            assert (one.title, one.unit, one.better, one.of_set) == (
                other.title,
                other.unit,
                other.better,
                other.of_set,
            ), name
            assert one.better in ("higher", "lower", "real") and one.meaning, name


@pytest.mark.parametrize("metric", [m for board in BOARDS for m in base.on_board(board)])
def test_columns_come_from_the_metric_or_follow_from_its_own(metric: Metric) -> None:
    assert set(metric.needs) <= base.FIELDS
    assert metric.measure.__annotations__["return"] == dict[str, Pooled]
    assert metric.measures

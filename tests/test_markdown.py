"""Tables are those that a Markdown reader finds again, cell by cell."""

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from vctool import markdown

CELL = st.text("ab|1-.: ", min_size=1, max_size=6).map(str.strip)


def read(lines: list[str]) -> list[list[str]]:
    """Return the cells of the only table in a text."""
    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable("table").parse("\n".join(lines)):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(token.content)
    return rows


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=4))
def test_every_cell_is_found_again(rows: list[list[str]]) -> None:
    assert read(markdown.table(["one", "two", "three"], rows)) == [["one", "two", "three"], *rows]


def test_a_table_without_rows_has_its_heads() -> None:
    assert markdown.table(["one", ""], []) == ["| one |  |", "|---|---|"]


def test_values_stay_as_they_are_written() -> None:
    rows = [["1.10", "0x1f", "nan"], [1.10, None, True]]
    laid = markdown.table(["a", "b", "c"], rows)[2:]
    assert laid == ["| 1.10 | 0x1f | nan |", "| 1.1 | None | True |"]

"""Tables in Markdown: those of RESULTS.md, of model cards and of reports on corpora."""

from collections.abc import Iterable, Sequence

from tabulate import DataRow, TableFormat, tabulate

_ROW = DataRow("| ", " | ", " |")


def table(
    heads: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: bool = False
) -> list[str]:
    r"""Format rows as a GitHub Markdown table, one line each, without padding.

    Args:
        heads: the C column headers.
        rows: each of C cells; `|` is escaped.
        numbers: whether all columns but the first hold numbers and are aligned to the right.

    >>> table(["split", "files"], [["train", 3], ["a|b", 10]], numbers=True)
    ['| split | files |', '|---|--:|', '| train | 3 |', '| a\\|b | 10 |']
    """
    rule = ["---", *["--:" if numbers else "---"] * (len(heads) - 1)]
    # tabulate's own styles pad, so that one changed value would change the whole column
    style = TableFormat(
        lineabove=None,
        linebelowheader=lambda widths, alignments: f"|{'|'.join(rule)}|",
        linebetweenrows=None,
        linebelow=None,
        headerrow=_ROW,
        datarow=_ROW,
        padding=0,
        with_header_hide=None,
    )
    laid = tabulate(
        [[_cell(one) for one in row] for row in rows],
        headers=[_cell(one) for one in heads],
        tablefmt=style,
        stralign=None,
        disable_numparse=True,
    )
    return laid.split("\n")


def _cell(content: object) -> str:
    return str(content).replace("|", r"\|")

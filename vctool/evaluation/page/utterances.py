"""utterances.tsv: every measure of every system, utterance by utterance, for paired tests."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vctool.data.atomic import write_text
from vctool.errors import DataError

NAME = "utterances.tsv"
HEADER = ("utt", "system", "measure", "value")

Values = dict[str, dict[str, dict[str, float]]]
"""`values[measure][system][utterance]`."""


def write(path: Path, names: Sequence[str], values: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Write the table, sorted by measure and system as given, utterances in order.

    Args:
        path: the file.
        names: the N utterances.
        values: `values[measure][system]`, each (N,); NaN, where there was nothing to measure,
            is left out.
    """
    lines = ["\t".join(HEADER)]
    for measure, systems in values.items():
        for system, column in systems.items():
            for name, value in zip(names, column.tolist(), strict=True):
                if math.isfinite(value):
                    lines.append(f"{name}\t{system}\t{measure}\t{value!r}")
    write_text(path, "\n".join(lines) + "\n")


def read(path: Path) -> Values:
    """Read the table.

    Raises:
        DataError: it is not there, or a line of it is not of this form.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run stage 6 (evaluate) again") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if not lines or tuple(lines[0].split("\t")) != HEADER:
        raise DataError(f"{path}:1: expected the columns {', '.join(HEADER)}")
    values: Values = {}
    for number, line in enumerate(lines[1:], 2):
        try:
            name, system, measure, text = line.split("\t")
            value = float(text)
        except ValueError:
            raise DataError(
                f"{path}:{number}: '{line}' is not utterance, system, measure and value; "
                "run stage 6 (evaluate) again"
            ) from None
        values.setdefault(measure, {}).setdefault(system, {})[name] = value
    return values

"""Read the losses that training logged, and describe them for a report."""

import json
from pathlib import Path

from vctool.evaluation.page.report import Losses

LOSSES = (
    "Losses of the last validation, without their weights. Never ranked: an unconverted copy has "
    "cycle and identity losses of 0."
)
"""What the held-out losses are."""


def read_journal(path: Path) -> list[dict[str, float | str]]:
    """Read the engine's `metrics.jsonl`; empty if there is none.

    An incomplete last line, left by a killed run, is skipped.
    """
    if not path.is_file():
        return []
    lines = path.read_text("utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def held_out_losses(exp: Path) -> Losses:
    """Return every term of the last validation; none if there is no metrics.jsonl."""
    held = [line for line in read_journal(exp / "log" / "metrics.jsonl") if line["split"] == "dev"]
    if not held:
        return Losses()
    last = held[-1]
    values = {
        term: {"value": float(value), "step": float(last["step"])}
        for term, value in last.items()
        if "/" in term and not term.startswith("total")
    }
    return Losses(values, meaning=LOSSES)

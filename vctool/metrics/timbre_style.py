"""Whether an output sounds like the recording whose timbre was asked for, or like its content."""

import numpy as np

from vctool.metrics import timbre_network
from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio

TITLE = "timbre of the style"
MEASURES = {
    "timbre_style": Measure(
        "timbre to style",
        "",
        "lower",
        "1 - cosine of the timbre network's embeddings, to the style, which plays other notes",
        gap=False,
        bounds=(0.0, 2.0),
    ),
    "nearer_style": Measure(
        "nearer style",
        "share",
        "higher",
        "outputs that the timbre network finds nearer to the style than to the content",
        gap=False,
        overview=True,
    ),
}
BOARDS = {"timbre": Stand(25)}
NEEDS = ("sources", "styles")
SETTINGS = timbre_network.SETTINGS


def measure(row: Row) -> dict[str, Pooled]:
    """Pool the distances to the styles, and how often the style is the nearer one."""
    assert row.sources is not None and row.styles is not None
    groups = (row.outputs, row.styles, row.sources)
    output, style, content = (timbre_network.of(group, row) for group in groups)
    near, far = (1.0 - (output * one).sum(axis=1) for one in (style, content))
    ones = np.ones(len(near))
    return {"timbre_style": ratio(near, ones), "nearer_style": ratio(1.0 * (near < far), ones)}

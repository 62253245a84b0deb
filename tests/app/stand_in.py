"""A worker that "converts" by stretching, so that long recordings take seconds: no model is read.

It is what `vctool.app.converting` is to a server whose `lane.main` is `main` here. The output is
the recording at another speed, so that its pitch tells the time in the recording at any stretch.
"""

import sys
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import soundfile

from vctool.app import worker

PRELUDE = "from vctool.app import lane\nfrom tests.app import stand_in\nlane.main = stand_in.main"
"""What a server runs before its command."""


def main(connection: Connection, work: str) -> None:
    """Be a worker, this module the one that converts."""
    if work == "converting":
        sys.modules["vctool.app.converting"] = sys.modules[__name__]
    worker.main(connection, work)


def answer(what: str, post: worker.Post, **values: Any) -> Any:
    if what == "warm":
        return None
    if what == "describe":
        return {"backing": [], "stretch": 1.0, "options": {}, "vocoder": "world", "vocoders": {}}
    wave, rate = soundfile.read(values["source"], dtype="float32")
    stretch = values["stretch"] or 1.0
    times = np.arange(round(stretch * len(wave)), dtype=np.float64) / stretch
    soundfile.write(values["out"], np.interp(times, np.arange(len(wave)), wave), rate)
    knots = np.arange(0, len(times) / rate, 0.02)
    pairs = np.stack([knots / stretch, knots], axis=1)
    return {
        "notes": [],
        "map": [] if stretch == 1 else [round(float(one), 3) for one in pairs.ravel()],
        "gains": {"vocal": 0.0, "accomp": -3.0},
    }

"""Notes that basic-pitch hears in a recording, as the measures of notes compare them.

The network of basic-pitch 0.4.0 (Bittner et al. 2022; Apache-2.0) ships in its package as 230 KB of
ONNX, which is run here without the package's own code. A note is a run of frames in which a key is
active and no weaker than its neighbours, begun anew where the network hears an onset.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vctool import audio
from vctool.metrics import note_distance
from vctool.metrics.base import Row
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.unavailable import MetricUnavailable

PACKAGES = ("basic-pitch", "onnxruntime")
RATE, HOP = 22050, 256
"""What the network hears, and its step [samples]."""
WINDOW, FRAMES, MARGIN = 43844, 172, 15
"""Samples that it hears at once, the frames that these give, and those at each end that are left
to the windows beside."""
LOWEST, KEYS = 21, 88
"""MIDI number of its lowest key, and how many it has."""
ACTIVE, ONSET = 0.45, 0.5
"""From these activations on a key sounds, or begins to. Chosen on dev triplets of nottingham_gm:
less hears partials as notes of a melody, and more misses notes of chords."""
LEAST_SECONDS, BRIDGED_SECONDS = 0.1, 0.05
"""Shorter notes are left out, and shorter gaps within one are none."""
SETTINGS = (
    f"basic-pitch 0.4.0; active from {ACTIVE:g}, onsets from {ONSET:g}, notes of "
    f"{LEAST_SECONDS:g} s and longer"
)
_MODEL = Path("saved_models/icassp_2022/nmp.onnx")


class Activations(NamedTuple):
    """What the network says, every `HOP / RATE` seconds."""

    notes: np.ndarray
    """(F, KEYS) how much every key sounds, 0 to 1."""
    onsets: np.ndarray
    """(F, KEYS) how much it begins to."""


def of_outputs(row: Row) -> list[np.ndarray]:
    """Return the notes of a row's outputs; see `hear`.

    Raises:
        MetricUnavailable: basic-pitch or onnxruntime is not installed.
    """
    require()
    outputs = row.outputs
    return outputs.once("heard notes", lambda: hear_all(outputs.waves, outputs.rate, row))


def of_targets(row: Row) -> list[np.ndarray]:
    """Return the notes of a row's targets; see `of_outputs`."""
    require()
    targets = row.targets
    assert targets is not None
    return targets.once("heard notes", lambda: hear_all(targets.waves, targets.rate, row))


def compared(name: str, row: Row, others: Sequence[np.ndarray]) -> dict[str, Pooled]:
    """Pool the distances of what is heard in a row's outputs from other notes.

    Args:
        name: of the measures, `<name>_pitch` and `<name>_onsets`.
        row: the outputs.
        others: (N,) each (K, 3), the notes of every output's counterpart.
    """
    pairs = list(zip(of_outputs(row), others, strict=True))
    ones = np.ones(len(pairs))
    return {
        f"{name}_pitch": ratio(np.array([note_distance.jaccard(*pair) for pair in pairs]), ones),
        f"{name}_onsets": ratio(np.array([note_distance.onset_f1(*pair) for pair in pairs]), ones),
    }


def hear_all(waves: Sequence[np.ndarray], rate: int, row: Row) -> list[np.ndarray]:
    """Return the notes of every wave (T,), heard on the row's processes."""
    levelled = [audio.resample(wave, rate, RATE) for wave in waves]
    return row.each(hear, levelled)


def hear(wave: np.ndarray) -> np.ndarray:
    """Return the notes of a wave (T,) at `RATE`, brought to a peak of 1.

    Returns:
        (N, 3) float64 by onset: onset [s], offset [s], pitch (MIDI number).
    """
    peak = float(np.abs(wave).max(initial=0.0))
    if peak == 0:
        return np.zeros((0, 3))
    return decode(activations((wave / peak).astype(np.float32)))


def require() -> Path:
    """Return the file of the network.

    Raises:
        MetricUnavailable: basic-pitch or onnxruntime is not installed.
    """
    for module, package in (("basic_pitch", "basic-pitch"), ("onnxruntime", "onnxruntime")):
        spec = find_spec(module)  # the package itself is not imported: it asks for TensorFlow
        if spec is None:
            raise MetricUnavailable("notes", package, "local/setup.sh --eval")
        if module == "basic_pitch":
            (place, *_) = spec.submodule_search_locations or [""]
    return Path(place) / _MODEL


@lru_cache(maxsize=1)
def _session() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the processes of a board are its threads
    return onnxruntime.InferenceSession(str(require()), options, providers=["CPUExecutionProvider"])


def activations(wave: np.ndarray) -> Activations:
    """Run the network over a wave (T,) at `RATE`, in windows whose frames join without a seam."""
    step = (FRAMES - 2 * MARGIN) * HOP
    count = 1 + len(wave) // HOP
    starts = range(0, count * HOP, step)
    padded = np.pad(wave, (MARGIN * HOP, WINDOW))
    names = ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"]
    found: list[list[np.ndarray]] = [[], []]
    for start in starts:
        window = padded[start : start + WINDOW][None, :, None]
        said = _session().run(names, {"serving_default_input_2:0": window})
        for own, one in zip(found, said, strict=True):
            own.append(one[0, MARGIN:-MARGIN])
    notes, onsets = (np.concatenate(one)[:count] for one in found)
    return Activations(notes, onsets)


def decode(heard: Activations) -> np.ndarray:
    """Turn activations into notes, (N, 3) as `hear` gives them."""
    least, bridged = (round(one * RATE / HOP) for one in (LEAST_SECONDS, BRIDGED_SECONDS))
    beside = np.pad(heard.notes, ((0, 0), (1, 1)))
    strongest = (heard.notes >= beside[:, :-2]) & (heard.notes >= beside[:, 2:])
    active = (heard.notes >= ACTIVE) & strongest
    around = np.pad(heard.onsets, ((1, 1), (0, 0)))
    begins = (heard.onsets >= ONSET) & (heard.onsets >= around[:-2]) & (heard.onsets > around[2:])
    found = []
    for key in np.flatnonzero(active.any(axis=0)).tolist():
        frames = np.flatnonzero(active[:, key])
        gaps = np.flatnonzero(np.diff(frames) > bridged + 1)
        starts = frames[np.r_[0, gaps + 1]].tolist()
        ends = (frames[np.r_[gaps, len(frames) - 1]] + 1).tolist()
        onsets = np.flatnonzero(begins[:, key])
        for start, end in zip(starts, ends, strict=True):
            inner = onsets[(onsets > start + least // 2) & (onsets < end - least // 2)].tolist()
            for first, last in zip([start, *inner], [*inner, end], strict=True):
                if last - first >= least:
                    found.append((first * HOP / RATE, last * HOP / RATE, float(LOWEST + key)))
    return np.array(sorted(found)).reshape(-1, 3)

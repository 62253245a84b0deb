"""How close an exported model is to the network, cut in every way, over sounds of every kind.

Streamed torch against torch over the whole file shows that cutting changes nothing; ONNX Runtime
against torch that the export does not either; blocks of a host through the queue that the queue
does not. The declared latency is measured by an impulse.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch

from vctool.errors import ExportError
from vctool.export.checks import GRANULES
from vctool.export.stream import Run, Streamed, TorchRun
from vctool.nn.streaming import Stream, chunk_samples, whole

STREAMED, EXPORTED = 1e-6, 1e-5
"""Of the peak: the largest difference of a sample, of the network cut into chunks from itself, and
of ONNX Runtime from torch.

How many frames are computed at once changes the order of sums, and so the last bits. More than that
is a network that decides by rounding, or makes much of what is only rounding: it must be written
so that it does not (whole numbers, or float64 where little is left of much)."""

BLOCKS = (1, 17, 64, 441, 512, 1000, 4096)
"""Sizes of a host's blocks that are tried, and then random ones."""

BLOCK_SECONDS = 1.0
"""Length of the voice that goes through the queue [s]."""

FLOOR = 1e-3
"""Peaks below this count as this: silence has none."""

Controls = Mapping[str, np.ndarray]
Start = Callable[[], Run]
"""Begins a stream anew."""


class Row(NamedTuple):
    """One sound."""

    sound: str
    peak: float
    """Of what the network makes of it."""
    streamed: float
    """Largest difference between streamed torch and torch over the whole, of the peak."""
    exported: float
    """Largest difference between ONNX Runtime and torch over the whole, of the peak."""


class Parity(NamedTuple):
    """Everything that was compared."""

    seconds: float
    """Length of each sound [s]."""
    rows: list[Row]
    latency: int
    """As measured [samples]."""
    blocks: int
    """How many ways of cutting the voice into a host's blocks gave the same bytes: all of them."""


def sounds(rate: int, seconds: float) -> dict[str, np.ndarray]:
    """Make a voice, noise, silence and a sweep: (T,) float32 each."""
    time = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(3)
    f0 = 150 * 2 ** (0.4 * np.sin(2 * np.pi * 0.4 * time) + 0.02 * np.sin(2 * np.pi * 5.5 * time))
    turns = np.cumsum(f0) / rate
    highest = min(5000, 0.45 * rate)
    buzz = np.zeros_like(time)
    for harmonic in range(1, 30):
        hz = harmonic * f0
        formants = sum(
            np.exp(-(((hz - at) / 150) ** 2)) for at in (500 + 200 * np.sin(9 * time), 1500, 2500)
        )
        buzz += (hz < highest) * (0.05 + formants) * np.sin(2 * np.pi * harmonic * turns)
    breath = rng.standard_normal(len(time))
    words = np.clip(1.5 * np.sin(2 * np.pi * 1.3 * time), 0, 1)  # with pauses between them
    hiss = np.clip(-1.5 * np.sin(2 * np.pi * 1.3 * time) - 0.7, 0, 1)
    sweep = np.cumsum(np.geomspace(20, 0.45 * rate, len(time))) / rate
    found = {
        "voice": 0.15 * words * buzz + 0.02 * (words + 2 * hiss) * breath,
        "noise": 0.1 * rng.standard_normal(len(time)),
        "silence": np.zeros_like(time),
        "sweep": 0.3 * np.sin(2 * np.pi * sweep),
    }
    return {name: wave.astype(np.float32) for name, wave in found.items()}


def measure(stream: Stream, start: Start, controls: Controls, seconds: float = 10.0) -> Parity:
    """Compare an exported model with its network.

    Args:
        stream: the network.
        start: begins the exported model anew, with these controls.
        controls: values of the control inputs, each (1, C).
        seconds: length of each sound [s].

    Raises:
        ExportError: it is further from the network than it may be, its latency is not what it
            declares, or the queue changes what comes out.
    """
    tensors = {name: torch.tensor(value) for name, value in controls.items()}
    rows = []
    made = sounds(stream.rate, seconds)
    for name, wave in made.items():
        offline = whole(stream, torch.from_numpy(wave), tensors).numpy()
        peak = float(np.abs(offline).max(initial=0.0))
        worst = np.zeros(2)
        for count in GRANULES:
            found = [
                np.abs(_run(run, wave, count) - offline).max(initial=0.0)
                for run in (TorchRun(stream, controls), start())
            ]
            worst = np.maximum(worst, found)
        row = Row(name, peak, *(worst / max(peak, FLOOR)).tolist())
        _require(row)
        rows.append(row)
    voice = made["voice"][: round(BLOCK_SECONDS * stream.rate)]
    latency = measured_latency(start, voice, stream.granule, stream.grain)
    if latency != stream.latency:
        raise ExportError(
            f"an impulse is {latency} samples late, and the network declares {stream.latency}"
        )
    return Parity(seconds, rows, latency, _blocks(start, voice))


def _require(row: Row) -> None:
    """Refuse what is further off than rounding is; NaN is too."""
    for told, off, most in (
        ("cut into chunks, the network differs from itself", row.streamed, STREAMED),
        ("ONNX Runtime differs from torch", row.exported, EXPORTED),
    ):
        if not off <= most:
            raise ExportError(
                f"{row.sound}: {told} by up to {off:.1e} of the peak; rounding is at most {most:g}"
            )


def _run(run: Run, wave: np.ndarray, granules: int) -> np.ndarray:
    """Run in chunks of some granules, and take the latency off."""
    chunk = granules * run.granule
    total = chunk_samples(chunk, len(wave) + run.latency)
    padded = np.pad(wave, (0, total - len(wave))).reshape(-1, chunk)
    made = np.concatenate([run.step(one) for one in padded])
    return made[run.latency : run.latency + len(wave)]


def measured_latency(start: Start, wave: np.ndarray, granule: int, grain: int = 1) -> int:
    """Return by how many samples an impulse in a sound comes out late.

    Where time is kept by grains (`Stream.grain`) no impulse comes out. The sound is silence then,
    as an impulse may turn the phase of all that comes after it, and what it changes has to begin
    before the declared place and to end after it.
    """
    place = len(wave) // 2 + granule // 3
    if grain > 1:
        wave = np.zeros_like(wave)
    clicked = wave.copy()
    clicked[place] += 0.5
    # with what comes after it, as a network may be late by more than the sound has left
    total = chunk_samples(granule, len(wave) + start().latency)
    outputs = []
    for one in (wave, clicked):
        run = start()
        padded = np.pad(one, (0, total - len(one))).reshape(-1, granule)
        outputs.append(np.concatenate([run.step(part) for part in padded]))
    changed = np.abs(outputs[1] - outputs[0])
    declared = place + run.latency
    if grain > 1 and changed[:declared].any() and changed[declared + 1 :].any():
        return run.latency
    return int(changed.argmax()) - place


def cut(wave: np.ndarray, block: int | None) -> Iterator[np.ndarray]:
    """Cut a wave into blocks of one size, or where None of random sizes, 0 among them."""
    rng = np.random.default_rng(1)
    at = 0
    while at < len(wave):
        size = int(rng.integers(0, 3000)) if block is None else block
        yield wave[at : at + size]
        at += size


def _blocks(start: Start, wave: np.ndarray) -> int:
    expected = np.concatenate(list(Streamed(start()).through([wave])))
    ways = (*BLOCKS, None)
    for block in ways:
        made = np.concatenate(list(Streamed(start()).through(cut(wave, block))))
        if made.tobytes() != expected.tobytes():
            raise ExportError(f"blocks of {block or 'random sizes'} change what comes out")
    return len(ways)

"""What a model costs: CPU time and memory, by torch and by ONNX Runtime, in one run.

Everything is CPU time on one thread, not time by the clock, so that other work on the machine
counts little. Ten instances share one session, as in `host.c`.
"""

import gc
import os
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import numpy as np
import torch

from vctool.export.parity import sounds
from vctool.export.runtime import Exported
from vctool.export.stream import Run, TorchRun
from vctool.nn.streaming import Stream, chunk_samples

INSTANCES = 10

BLOCKS = (512, 1024)
"""Samples at once, to the next whole granule."""

SECONDS = 4.0
"""Length of the sound [s]."""


class Cost(NamedTuple):
    """The cost of computing so many samples at once."""

    block: int
    torch: float
    """CPU seconds for each second of sound, by torch."""
    onnx: float
    """The same by ONNX Runtime."""
    ten: float
    """The same for ten instances in ten threads with one session."""

    @property
    def faster(self) -> float:
        """How many times as fast as torch ONNX Runtime is."""
        return self.torch / self.onnx

    @property
    def sharing(self) -> float:
        """The cost of ten instances over ten times that of one."""
        return self.ten / (INSTANCES * self.onnx)


class Figures(NamedTuple):
    """Everything that was measured."""

    costs: list[Cost]
    memory: float
    """What loading the model, and running one stream, takes [MB]."""
    more: float
    """What nine further streams take [MB]."""


def measure(
    stream: Stream, content: bytes, controls: Mapping[str, np.ndarray], seconds: float = SECONDS
) -> Figures:
    """Measure a model.

    Args:
        stream: the network.
        content: of its export.
        controls: values of the control inputs, each (1, C).
        seconds: length of the sound [s].
    """
    wave = sounds(stream.rate, seconds)["voice"]
    # in a process of its own: in this one, memory that was freed is taken again, and none is new
    with get_context("spawn").Pool(1) as pool:
        one, nine = pool.apply(_memory, (content, controls, wave[: stream.rate // 2]))
    exported = Exported(content, "the export")
    runs = [exported.run(controls) for _ in range(INSTANCES)]
    for run in runs:
        _cost(run, wave[: stream.rate // 2], stream.granule)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    costs = []
    for block in dict.fromkeys(chunk_samples(stream.granule, least) for least in BLOCKS):
        turns: list[tuple[float, float, float]] = []
        for _ in range(3):  # in turn, so that none has the quieter machine
            turns.append(
                (
                    _cost(TorchRun(stream, controls), wave, block),
                    _cost(runs[0], wave, block),
                    _together(runs, wave, block),
                )
            )
        costs.append(Cost(block, *(min(found) / seconds for found in zip(*turns, strict=True))))
    torch.set_num_threads(threads)
    return Figures(costs, one, nine)


def _memory(
    content: bytes, controls: Mapping[str, np.ndarray], wave: np.ndarray
) -> tuple[float, float]:
    """Return what one stream takes, with its session, and what nine more take [MB]."""
    import onnxruntime

    assert onnxruntime.__version__  # loaded, and so in none of the figures
    before = _resident()
    exported = Exported(content, "the export")
    run = exported.run(controls)
    _cost(run, wave, run.granule)
    one = _resident()
    others = [exported.run(controls) for _ in range(INSTANCES - 1)]
    for other in others:
        _cost(other, wave, other.granule)
    return one - before, _resident() - one


def _cost(run: Run, wave: np.ndarray, block: int) -> float:
    """Return the CPU time of this process for a sound [s]."""
    return _timed(lambda: _through(run, wave, block))


def _together(runs: Sequence[Run], wave: np.ndarray, block: int) -> float:
    def work() -> None:
        threads = [Thread(target=_through, args=(run, wave, block)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return _timed(work)


def _through(run: Run, wave: np.ndarray, block: int) -> None:
    for one in wave[: len(wave) // block * block].reshape(-1, block):
        run.step(one)


def _timed(work: Callable[[], None]) -> float:
    gc.collect()
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _resident() -> float:
    """Return the memory of this process that is in use [MB]."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

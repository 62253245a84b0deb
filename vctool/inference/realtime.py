"""What `vctool stream` runs: a model by torch or by ONNX Runtime, or a second take of a lead."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from vctool.config import suggest
from vctool.errors import ConfigError
from vctool.export.runtime import MODEL, Exported
from vctool.export.stream import Run, TorchRun
from vctool.inference.converter import Converter
from vctool.inference.double import Doubler, DoubleSettings
from vctool.nn.streaming import LIMIT, NotRealTime

Backend = Literal["torch", "onnx"]

DOUBLE_RATE = 48000
"""Rate of a second take where none is asked for [Hz]."""

RATES = (8000, 192000)
"""Sampling rates that are taken [Hz], from lowest to highest."""


class Chosen(NamedTuple):
    """What runs."""

    run: Run
    told: str
    """What it is, in a few words."""


class DoubleRun:
    """A second take as a stream; see `export.stream.Run`.

    Args:
        rate: sampling rate [Hz].
        seed: of all its randomness.
    """

    granule = 1

    def __init__(self, rate: int, seed: int) -> None:
        self.rate = rate
        self._doubler = Doubler(rate, DoubleSettings(seed=seed))
        self.latency = self._doubler.latency

    def step(self, wave: np.ndarray) -> np.ndarray:
        """Process the next samples; bad ones are taken as 0, as a model does."""
        clean = np.where(np.abs(wave) <= LIMIT, wave, np.float32(0))
        return self._doubler.process(clean)[0]


def double(rate: int | None, seed: int) -> Chosen:
    """Make a second take.

    Raises:
        ConfigError: a rate or a seed that it cannot have.
    """
    if not 0 <= seed < 2**31:
        raise ConfigError(f"--seed {seed}: expected a whole number from 0 to 2147483647")
    run = DoubleRun(require_rate(DOUBLE_RATE if rate is None else rate), seed)
    return Chosen(run, f"a second take, seed {seed}, at {run.rate} Hz")


def model(path: Path, to: str | None, backend: Backend | None) -> Chosen:
    """Load a model in one of its voices.

    Args:
        path: an experiment, one of its checkpoints, or an export.
        to: the voice: a role, or recordings where the model takes them; the last role where None.
        backend: what runs it; torch where None, and ONNX Runtime for an export.

    Raises:
        ConfigError: it does not run in real time, or has no such voice or form.
        CheckpointError, ExportError: it is missing or damaged.
    """
    if path.suffix == ".onnx" or (path / MODEL).is_file():
        if backend == "torch":
            raise ConfigError(f"--backend torch: {path} is an export; name its experiment")
        return _exported(path, to)
    if backend == "onnx":
        folder = path / "export"
        if not (folder / MODEL).is_file():
            raise ConfigError(
                f"--backend onnx: {path} is not exported yet; vctool export {path} does so"
            )
        return _exported(folder, to)
    converter = Converter(path, device="cpu")
    if converter.stream is None:
        why = converter.system.streamable()
        assert isinstance(why, NotRealTime)
        raise ConfigError(f"{path}: does not run in real time: {why.reason}")
    request = converter.request(to)
    run = TorchRun(converter.stream, converter.controls(request))
    return Chosen(run, f"{path} to {request.name} at {run.rate} Hz, by torch")


def _exported(path: Path, to: str | None) -> Chosen:
    found = Exported.read(path)
    voices = found.facts.voices
    name = to if to is not None else next(reversed(voices), "")
    if name not in voices:
        raise ConfigError(
            f"--to {name}: {path} has no such voice{suggest(name, tuple(voices))}; recordings need "
            "the experiment and --backend torch"
        )
    run = found.run(voices[name])
    return Chosen(run, f"{path} to {name} at {run.rate} Hz, by ONNX Runtime")


def require_rate(rate: int) -> int:
    """Return a sampling rate.

    Raises:
        ConfigError: it is out of range.
    """
    low, high = RATES
    if not low <= rate <= high:
        raise ConfigError(f"--rate {rate}: expected a sampling rate from {low} to {high} Hz")
    return rate


def require_block(block: int, rate: int | None) -> int:
    """Return a block size; without a rate, it may be of any length.

    Raises:
        ConfigError: it is not between one sample and a second.
    """
    if block < 1 or (rate is not None and block > rate):
        most = "at most a second" if rate is None else f"at most {rate}, a second"
        raise ConfigError(f"--block {block}: expected at least 1 sample, and {most}")
    return block


def latency_line(rate: int, **parts: float) -> str:
    """Say by how much the output is late, and why.

    Args:
        rate: sampling rate [Hz].
        parts: samples by name.

    >>> latency_line(44100, block=512, model=1024, queue=512, device=512)
    'latency 58 ms = block 11.6 + model 23.2 + queue 11.6 + device 11.6'
    """
    shown = {name: round(1000 * samples / rate, 1) for name, samples in parts.items()}
    total = round(sum(shown.values()), 1)  # of what is shown, so that the sum is right
    return f"latency {total:g} ms = {' + '.join(f'{name} {ms:g}' for name, ms in shown.items())}"

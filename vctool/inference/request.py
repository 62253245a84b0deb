"""What a conversion is asked for and given, and what is refused before any work is done."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import BaseModel

from vctool.errors import AudioError, ConfigError
from vctool.models.base import Reference

LEAST_SECONDS = 0.1
"""Shortest recording that is converted [s]."""

MOST_OFFSET = 86400.0
"""Largest `--accomp-offset` [s]."""

STRETCH_RANGE = (0.25, 4.0)
TRANSPOSE_RANGE = (-36.0, 36.0)
"""What `--stretch` and `--transpose` (semitones) may be."""


@dataclass(frozen=True)
class Request:
    """What is asked of one conversion, checked by `Converter.request`."""

    name: str
    """What outputs are called after."""
    to: str | None
    """Role to convert to; None where the target is `reference`."""
    stretch: float
    """Length of the output over the length of the input."""
    transpose: float
    """Shift of the output's pitch [semitones]."""
    reference: Reference | None
    """What the model knows of a target that is recordings."""
    options: BaseModel
    """The family's own options."""

    def samples(self, samples: int) -> int:
        """Return the length of the output of `samples`, rounded half up."""
        return math.floor(samples * self.stretch + 0.5)


def resolve_device(device: str) -> torch.device:
    """Return the device of a name; `auto` is the GPU where there is one.

    Raises:
        ConfigError: no such device here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ConfigError(f"--device {device}: no such device; use auto, cpu or cuda") from None
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"--device {device}: no such GPU here; use auto or cpu")
    return found


def require_range(name: str, value: float, limits: tuple[float, float]) -> None:
    """Refuse a value of an option that is out of range.

    Raises:
        ConfigError: it is, or it is NaN.
    """
    low, high = limits
    if not low <= value <= high:
        raise ConfigError(f"--{name} {value:g}: must lie between {low:g} and {high:g}")


def require_offset(seconds: float) -> float:
    """Return the second of the accompaniment at which the voice enters, if it can be one.

    Raises:
        ConfigError: it is NaN, infinite, or beyond a day.
    """
    if not abs(seconds) <= MOST_OFFSET:
        raise ConfigError(
            f"--accomp-offset {seconds:g}: must lie between -{MOST_OFFSET:g} and {MOST_OFFSET:g}"
        )
    return seconds


def require_length(samples: int, rate: int, where: str) -> None:
    """Refuse a recording that is too short to hold a voice.

    Raises:
        AudioError: it is shorter than `LEAST_SECONDS`.
    """
    if samples < math.floor(LEAST_SECONDS * rate):
        raise AudioError(
            f"{where}: lasts {samples / rate:.3g} s; at least {LEAST_SECONDS:g} s are needed"
        )


def to_mono(wave: np.ndarray, name: str, rate: int) -> np.ndarray:
    """Check and mix down (T,) or (T, channels), float or integer PCM, to (T,) float32."""
    wave = np.asarray(wave)
    if wave.ndim not in (1, 2) or (wave.ndim == 2 and wave.shape[1] > wave.shape[0]):
        raise AudioError(f"{name}: shape {wave.shape}; expected (samples,) or (samples, channels)")
    if wave.dtype == np.uint8:
        wave = (wave.astype(np.float32) - 128) / 128
    elif np.issubdtype(wave.dtype, np.integer):
        wave = wave.astype(np.float32) / -float(np.iinfo(wave.dtype).min)
    wave = wave.astype(np.float32)
    mono: np.ndarray = wave.mean(axis=1) if wave.ndim == 2 else wave
    if not np.isfinite(mono).all():
        raise AudioError(f"{name}: holds NaN or infinity")
    if name == "wave":
        require_length(len(mono), rate, name)
    elif not len(mono):
        raise AudioError(f"{name}: holds no samples")
    return mono

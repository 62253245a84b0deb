"""Options and input of a conversion, validated before any work is done."""

import logging
import math
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import BaseModel

from vctool import audio
from vctool.audio.downmix import downmix_of, told
from vctool.errors import AudioError, ConfigError
from vctool.inference.limits import (
    AUTO,
    LEAST_SECONDS,
    MOST_OFFSET,
    STRETCH_RANGE,
    TRANSPOSE_RANGE,
    require_offset,
    require_range,
    transposition,
)
from vctool.models.base import Reference

__all__ = [
    "AUTO",
    "LEAST_SECONDS",
    "MOST_OFFSET",
    "STRETCH_RANGE",
    "TRANSPOSE_RANGE",
    "Request",
    "require_length",
    "require_offset",
    "require_range",
    "require_rate",
    "resolve_device",
    "to_mono",
    "transposition",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """Options of one conversion, validated by `Converter.request`."""

    name: str
    """Name of the target, used in names of outputs."""
    to: str | None
    """Role to convert to; None where the target is `reference`."""
    stretch: float
    """Length of the output over the length of the input."""
    transpose: float
    """Shift of the output's pitch [semitones]."""
    reference: Reference | None
    """The model's reference of the target's recordings; None where the target is a role."""
    options: BaseModel
    """The family's own options."""
    into_range: bool = False
    """Whether whole octaves are still to be added to `transpose` that bring the recording into the
    range of the target (`--transpose auto`)."""

    def samples(self, samples: int) -> int:
        """Return the output's length for an input of `samples` samples, rounded half up."""
        return math.floor(samples * self.stretch + 0.5)


def resolve_device(device: str) -> torch.device:
    """Return a device by name; `auto` is the GPU if there is one.

    Raises:
        ConfigError: this machine has no such device.
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


def require_length(samples: int, rate: int, where: str) -> None:
    """Refuse a recording that is too short to convert.

    Raises:
        AudioError: it is shorter than `LEAST_SECONDS`.
    """
    if samples < math.floor(LEAST_SECONDS * rate):
        raise AudioError(
            f"{where}: lasts {samples / rate:.3g} s; at least {LEAST_SECONDS:g} s are needed"
        )


def require_rate(rate: float, name: str) -> int:
    """Return a sampling rate [Hz], of any number type, as an int.

    Raises:
        AudioError: it is not a whole number, or out of range.
    """
    low, high = audio.RATES
    if isinstance(rate, bool | str) or not low <= rate <= high or rate != int(rate):
        raise AudioError(f"{name}: a rate of {rate!r} Hz; wanted a whole number, {low} to {high}")
    return int(rate)


def to_mono(wave: np.ndarray, name: str, rate: int) -> np.ndarray:
    """Check and mix down (T,) or (T, channels), float or integer PCM, to (T,) float32.

    64-bit integers, which no file format has, are read as PCM of 16, 24 or 32 bits: the smallest
    that holds all samples.
    """
    wave = np.asarray(wave)
    if wave.ndim not in (1, 2) or (wave.ndim == 2 and wave.shape[1] > wave.shape[0]):
        raise AudioError(f"{name}: shape {wave.shape}; expected (samples,) or (samples, channels)")
    wave = _scaled(wave, name)
    mono: np.ndarray = wave if wave.ndim == 1 else wave[:, 0]
    if wave.ndim == 2 and wave.shape[1] > 1:
        choice = downmix_of(wave, rate)
        if choice.reason:
            logger.info("%s: %s", name, told(choice, wave.shape[1]))
        mono = choice.apply(wave)
    if not np.isfinite(mono).all():
        raise AudioError(f"{name}: holds NaN or infinity")
    if len(mono) and np.abs(mono).max() > audio.LARGEST:
        raise AudioError(f"{name}: holds a sample of {np.abs(mono).max():.2g}; full scale is 1")
    if name == "wave":
        require_length(len(mono), rate, name)
    elif not len(mono):
        raise AudioError(f"{name}: holds no samples")
    return mono


def _scaled(wave: np.ndarray, name: str) -> np.ndarray:
    """Convert samples of any type to float32 in -1..1.

    Raises:
        AudioError: they are neither floats nor integers, or need more than 32 bits.
    """
    if np.issubdtype(wave.dtype, np.floating):
        return wave.astype(np.float32)
    if not np.issubdtype(wave.dtype, np.integer):
        raise AudioError(f"{name}: samples are {wave.dtype}; wanted floats in -1..1 or integer PCM")
    if wave.dtype.itemsize < 8:
        limits = np.iinfo(wave.dtype)
        middle = (int(limits.max) + int(limits.min) + 1) // 2  # unsigned PCM has its zero there
        return ((wave.astype(np.float64) - middle) / (int(limits.max) - middle + 1)).astype("f4")
    largest = int(np.abs(wave).max(initial=0))
    bits = next((bits for bits in (16, 24, 32) if largest <= 2 ** (bits - 1)), None)
    if bits is None:
        raise AudioError(f"{name}: holds a sample of {largest}, more than 32 bits; scale to -1..1")
    logger.info("%s: 64-bit integers are taken for PCM of %d bits", name, bits)
    return (wave / 2.0 ** (bits - 1)).astype(np.float32)

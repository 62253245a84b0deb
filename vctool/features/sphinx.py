"""The acoustic model that pocketsphinx ships, read from its own binary formats.

A phonetically tied mixture: every context-independent phone has a codebook of diagonal Gaussians
for each of three streams (cepstra, their differences, and the differences of these), which the
states of all its triphones share; a state, or senone, has its own weights of them. The formats are
those of CMU Sphinx 3 (`means`, `variances`), of Sphinx 2's dump of quantised weights (`sendump`),
and of PocketSphinx's binary model definition (`mdef`), each of which describes itself in its head.
"""

import math
import struct
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vctool.errors import DataError

LOG_UNIT = 1024 * math.log(1.0001)
"""Step of the quantised logarithms of `sendump`: Sphinx's base 1.0001, shifted by ten bits."""

_BYTE_ORDER = 0x11223344
"""What follows the head of a file in the Sphinx 3 format."""
_END_OF_HEAD = b"endhdr\n"


class AcousticModel(NamedTuple):
    """Gaussians and weights; P phones, S streams, K Gaussians, D dimensions of a stream."""

    settings: dict[str, str]
    """The front end's, `feat.params`: by name without the dash."""
    phones: tuple[str, ...]
    """(P) names of the context-independent phones, among them noises and silence."""
    means: np.ndarray
    """(P, S, K, D) float32."""
    variances: np.ndarray
    """(P, S, K, D) float32."""
    weights: np.ndarray
    """(P, N, S, K) float32: of the N states of every phone where its context is unknown."""


@lru_cache(maxsize=1)
def shipped() -> AcousticModel:
    """Read the English model of the installed pocketsphinx.

    Raises:
        DataError: a file is missing, or is not in the format that its name promises.
    """
    import pocketsphinx

    return read(Path(pocketsphinx.get_model_path("en-us/en-us")))


def read(folder: Path) -> AcousticModel:
    """Read a phonetically tied model.

    Raises:
        DataError: a file is missing, or is not in the format that its name promises.
    """
    means = _gaussians(folder / "means")
    variances = _gaussians(folder / "variances")
    phones, states = _definition(folder / "mdef")
    quantised = _weights(folder / "sendump")
    shapes_agree = means.shape == variances.shape and len(means) == len(phones)
    if not shapes_agree or quantised.shape[:2] != means.shape[1:3]:
        raise DataError(
            f"{folder}: means {means.shape}, variances {variances.shape}, weights "
            f"{quantised.shape} and {len(phones)} phones do not belong together"
        )
    weights = np.exp(-LOG_UNIT * quantised[:, :, states].astype(np.float32))
    return AcousticModel(
        settings=_settings(folder / "feat.params"),
        phones=phones,
        means=means,
        variances=variances,
        weights=np.ascontiguousarray(weights.transpose(2, 3, 0, 1)),
    )


def _settings(path: Path) -> dict[str, str]:
    """Read `-name value` lines."""
    words = _bytes(path).decode("ascii").split()
    if len(words) % 2 or not all(name.startswith("-") for name in words[::2]):
        raise _damaged(path)
    return {name[1:]: value for name, value in zip(words[::2], words[1::2], strict=True)}


def _gaussians(path: Path) -> np.ndarray:
    """Read `means` or `variances`: (P, S, K, D)."""
    data = _bytes(path)
    at = data.find(_END_OF_HEAD) + len(_END_OF_HEAD)
    try:
        order, phones, streams, size = struct.unpack_from("<Iiii", data, at)
        dims = struct.unpack_from(f"<{streams}i", data, at + 16)
        (count,) = struct.unpack_from("<i", data, at + 16 + 4 * streams)
        values = np.frombuffer(data, "<f4", count, at + 20 + 4 * streams)
        if order != _BYTE_ORDER or len(set(dims)) != 1:
            raise _damaged(path)
        return values.reshape(phones, streams, size, dims[0])
    except (struct.error, ValueError):
        raise _damaged(path) from None


def _weights(path: Path) -> np.ndarray:
    """Read `sendump`: (S, K, senones) uint8, each -log(weight) / `LOG_UNIT`."""
    data, at, told = _bytes(path), 0, {}
    try:
        while size := struct.unpack_from("<i", data, at)[0]:
            name, _, value = data[at + 4 : at + 4 + size].rstrip(b"\0").partition(b" ")
            told[name] = value
            at += 4 + size
        rows, senones = struct.unpack_from("<ii", data, at + 4)
        if told.get(b"cluster_count") != b"0":  # then each weight is a byte of its own
            raise _damaged(path)
        values = np.frombuffer(data, np.uint8, offset=at + 12)
        return values.reshape(int(told[b"feature_count"]), rows, senones)
    except (struct.error, ValueError, KeyError):
        raise _damaged(path) from None


def _definition(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Read `mdef`: the names (P) of the phones, and the senones (P, N) of their states."""
    data = _bytes(path)
    try:
        head, _, size = struct.unpack_from("<4sii", data)
        base, phones, states, _, _, _, sequences, _, nodes, _ = struct.unpack_from(
            "<10i", data, 12 + size
        )
        if head != b"BMDF" or states <= 0:
            raise _damaged(path)
        at, names = 12 + size + 40, []
        for _ in range(base):
            end = data.index(b"\0", at)
            names.append(data[at:end].decode("ascii"))
            at = end + 1
        at += -at % 4 + 8 * nodes
        entries = np.frombuffer(data, [("sequence", "<i4"), ("rest", "<i4", 2)], phones, at)
        table = np.frombuffer(data, "<u2", sequences * states, at + 12 * phones + 4)
        return tuple(names), table.reshape(sequences, states)[entries["sequence"][:base]]
    except (struct.error, ValueError, IndexError):
        raise _damaged(path) from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; install pocketsphinx again") from None


def _damaged(path: Path) -> DataError:
    return DataError(f"{path}: not in the format of Sphinx; install pocketsphinx again")

"""A whole vocoder in one file: 16-bit safetensors with its settings in the header.

`vctool package-vocoder` writes it. Those in `vctool/vocoders/weights/`, called
`<vocoder>-<anything>.safetensors`, come with the project: they are what the bare names `istft` and
`hifigan` mean.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vctool.config import build
from vctool.errors import CheckpointError, ConfigError
from vctool.features.settings import FeatureConfig
from vctool.vocoders.stored import restoring
from vctool.vocoders.stored.agreement import differences

FOLDER = Path(__file__).resolve().parent.parent / "weights"
"""Folder of the weights that come with the project."""
SUFFIX = ".safetensors"
FORMAT = "1"
"""Version of the layout; a file of another one is refused."""
FIELDS = {"format", "vocoder", "config", "features"}
"""Fields that a file's header must hold; all but the first two are JSON."""


def content(
    vocoder: str,
    config: Mapping[str, Any],
    features: FeatureConfig,
    weights: Mapping[str, Tensor],
    about: str,
) -> bytes:
    """Serialise a vocoder to the bytes of one file, its tensors as 16-bit floats.

    Args:
        vocoder: its name.
        config: settings of its network, as `Restorable.restore` takes them.
        features: the features that it was trained on.
        weights: its tensors, finite.
        about: its origin, in one sentence.

    Raises:
        ConfigError: a weight overflows 16-bit floats.
    """
    halves = {name: tensor.detach().cpu().half().contiguous() for name, tensor in weights.items()}
    for name, tensor in halves.items():
        if not torch.isfinite(tensor).all():
            raise ConfigError(f"weight {name}: too large for 16 bits, or not finite; train anew")
    header = {
        "format": FORMAT,
        "vocoder": vocoder,
        "config": json.dumps(dict(config)),
        "features": features.model_dump_json(),
        "about": about,
    }
    header["digest"] = _digest(header, halves)
    found: bytes = save(halves, header)
    return found


def _digest(header: Mapping[str, str], halves: Mapping[str, Tensor]) -> str:
    """Hash what a file holds, tensors and header: a CRC-32, against damage."""
    told = {field: value for field, value in header.items() if field != "digest"}
    crc = zlib.crc32(json.dumps(told, sort_keys=True).encode())
    for name in sorted(halves):
        crc = zlib.crc32(name.encode() + halves[name].numpy().tobytes(), crc)
    return f"crc32:{crc:08x}"


def read_header(path: Path) -> dict[str, str]:
    """Read a file's header.

    Raises:
        CheckpointError: it is not readable, or was not written by `content`.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not readable ({error}); copy it again") from None
    if not FIELDS <= header.keys() or header["format"] != FORMAT:
        raise CheckpointError(
            f"{path}: no vocoder of this version; name one that vctool package-vocoder wrote, or "
            "an experiment"
        )
    return header


def features_of(path: Path) -> FeatureConfig:
    """Read which features a file's vocoder was trained on."""
    return build(FeatureConfig, _setting(path, read_header(path), "features"), f"{path} features")


def _setting(path: Path, header: Mapping[str, str], field: str) -> dict[str, Any]:
    """Read a field of a header that is a JSON mapping.

    Raises:
        CheckpointError: it is something else.
    """
    try:
        found = json.loads(header[field])
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: its {field} are no settings; copy it again")
    return found


def parts(path: Path) -> restoring.Parts:
    """Read the vocoder that a file holds.

    Raises:
        CheckpointError: it is not readable, or damaged.
    """
    header = read_header(path)
    with safe_open(path, framework="pt") as file:
        halves = {name: file.get_tensor(name) for name in file.keys()}
    # files of before there were digests have none
    if "digest" in header and header["digest"] != _digest(header, halves):
        raise CheckpointError(f"{path}: damaged, not what was written; copy it again")
    weights = {name: tensor.float() for name, tensor in halves.items()}
    config = _setting(path, header, "config")
    return restoring.Parts(header["vocoder"], config, features_of(path), weights)


def find_kept(name: str, features: FeatureConfig | None) -> Path:
    """Find the weights that come with the project.

    Args:
        name: a vocoder that has weights.
        features: chooses among several, by the mel that they were trained on.

    Raises:
        ConfigError: there are none, or none for these features.
    """
    kept = sorted(FOLDER.glob(f"{name}-*{SUFFIX}"))
    if not kept:
        raise ConfigError(
            f"vocoder: {name} has no weights here; train some with ./run.sh --recipe "
            f"vcc2016_{name} and name exp/vcc2016_{name}, or the path of others"
        )
    if features is None:
        return kept[0]
    apart = {path: differences(features_of(path), features) for path in kept}
    nearest = min(kept, key=lambda path: len(apart[path]))
    if apart[nearest]:
        told = ", ".join(f"{field} = {own} (here {ours})" for field, own, ours in apart[nearest])
        raise ConfigError(
            f"vocoder: the weights of {name} that come with vctool are for {told}; train others "
            f"on these features (a recipe with family: {name}) and name their experiment, or take "
            "griffin_lim"
        )
    return nearest

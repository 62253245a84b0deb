"""Generators in the format of HiFi-GAN's release (Kong, Kim and Bae 2020).

A file `g_02500000`, or `generator.pth` of later fine-tunings, holds `{"generator": state dict}`
with weight norm not yet folded; `config.json` beside it describes the network and the mel. Only
tensors are unpickled, so loading such a file cannot run code.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from vctool.config import build
from vctool.errors import CheckpointError, ConfigError
from vctool.features.settings import FeatureConfig
from vctool.vocoders.stored import restoring

CONFIG = "config.json"
"""The file of settings, beside the weights."""
PATTERNS = ("g_????????", "*.pth", "*.pt")
"""File names of generators: the first pattern with a match counts, and its last match is used."""
NETWORK = (
    "resblock",
    "upsample_rates",
    "upsample_kernel_sizes",
    "upsample_initial_channel",
    "resblock_kernel_sizes",
    "resblock_dilation_sizes",
)
"""Settings of the network, whose names are the same in the release and here."""
MEL = {
    "rate": "sampling_rate",
    "n_fft": "n_fft",
    "win_length": "win_size",
    "hop_length": "hop_size",
    "n_mels": "num_mels",
    "f_min": "fmin",
    "f_max": "fmax",
}
"""Our settings of the mel, and what the release calls them."""

MAGNITUDES = {"mel_power": 1, "top_db": 100.0}
"""Common to all releases: mel of magnitudes, with a floor far below any recording's noise."""


def inside(folder: Path) -> Path | None:
    """Return the generator that a folder with `config.json` holds, the latest where several."""
    if not (folder / CONFIG).is_file():
        return None
    for pattern in PATTERNS:
        found = sorted(folder.glob(pattern))
        if found:
            return found[-1]
    return None


def parts(path: Path) -> restoring.Parts:
    """Read a published generator.

    Raises:
        CheckpointError: not a generator, holds more than tensors, or beside another's config.
    """
    settings = _settings(path)
    given = {ours: settings[theirs] for ours, theirs in MEL.items()}
    network = {name: settings[name] for name in NETWORK}
    network["resblock"] = str(network["resblock"])  # the V3 of some releases writes a number
    try:
        features = build(FeatureConfig, given | MAGNITUDES, f"{path.parent / CONFIG}")
        return restoring.Parts("hifigan", network, features, fold(_generator(path)))
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}; is {CONFIG} beside it its own?") from None


def _settings(path: Path) -> dict[str, Any]:
    """Read `config.json` beside a generator.

    Raises:
        CheckpointError: it is missing, not JSON, or lacks settings.
    """
    place = path.parent / CONFIG
    try:
        found = json.loads(place.read_text("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: no {CONFIG} beside it, which says what it is; copy it there"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{place}: not readable as JSON: {error}") from None
    needed = (*NETWORK, *MEL.values())
    lacking = [name for name in needed if not isinstance(found, dict) or name not in found]
    if lacking:
        raise CheckpointError(
            f"{place}: lacks {', '.join(lacking)}; it is not the config of a HiFi-GAN generator"
        )
    settings: dict[str, Any] = found
    return settings


def _generator(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a file.

    Raises:
        CheckpointError: it is not such a file, or could only be read by running code from it.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise CheckpointError(
            f"{path}: holds more than tensors, or is no file of weights, and is not read; "
            "name a generator such as g_02500000"
        ) from None
    except (OSError, RuntimeError, EOFError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).strip().split("\n")[0]
        raise CheckpointError(
            f"{path}: not readable as weights ({reason}); copy it again"
        ) from None
    state = found.get("generator") if isinstance(found, dict) else None
    if not isinstance(state, dict) or not all(isinstance(one, Tensor) for one in state.values()):
        raise CheckpointError(
            f"{path}: holds no 'generator'; name the generator's file (g_...), not the "
            "discriminators' (do_...)"
        )
    return {str(name): tensor.float() for name, tensor in state.items()}


def fold(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fold weight norm into plain weights: `w = g v / ||v||`, the norm over all axes but the first.

    Salimans and Kingma (2016). Names are those of `torch.nn.utils.weight_norm` (`x.weight_g`,
    `x.weight_v`) or of its parametrization (`x.parametrizations.weight.original0`, `1`); what has
    no weight norm stays as it is.
    """
    plain: dict[str, Tensor] = {}
    forms = (
        (".weight_g", ".weight_v"),
        (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
    )
    for name, tensor in state.items():
        scale_of = next(((g, v) for g, v in forms if name.endswith(v)), None)
        if scale_of is not None:
            stem = name.removesuffix(scale_of[1])
            scale = state.get(stem + scale_of[0])
            if scale is None:
                raise ConfigError(f"{name} stands without {stem}{scale_of[0]}")
            norm = tensor.flatten(1).norm(dim=1).reshape(-1, *[1] * (tensor.dim() - 1))
            plain[f"{stem}.weight"] = scale * tensor / norm
        elif not name.endswith(tuple(g for g, _ in forms)):
            plain[name] = tensor
    return plain

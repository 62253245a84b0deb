"""A model in one file, `NAME.vctool`: all that converting needs, to be sent and kept.

    8 bytes                 length of the header, as in every safetensors file
    header, JSON            every tensor's type, shape and place; `__metadata__`, below
    tensors                 `model/<name>`, and `vocoder/<name>` where its vocoder has weights

`__metadata__` holds text, as safetensors has it:

    format      version of this layout; a later one is refused
    state       JSON: what a checkpoint's `state.json` says that converting needs
    vocoder     JSON: name, config and features of the vocoder whose weights are here; or null
    card        JSON: what it was trained on, under which terms, how good it is, and its limits
    digest      SHA-256 of the whole file, with zeros in place of these 64 digits

It is read as data alone: nothing in it is ever run. The header can be read without the tensors, and
without torch.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vctool.errors import CheckpointError
from vctool.json_files import Kind, check_fields

if TYPE_CHECKING:  # lists of models read headers, and load no torch
    from torch import Tensor

SUFFIX = ".vctool"
FORMAT = 1
"""Version of the layout; a file of a later one is refused."""
LONGEST_HEADER = 100_000_000
"""Length that safetensors allows a header [bytes]."""
MODEL, VOCODER = "model/", "vocoder/"
"""Prefixes of tensors."""

_TEXTS = ("format", "state", "vocoder", "card", "digest")
_ZEROS = "0" * 64
_STATE: dict[str, Kind] = {
    "format": int,
    "family": str,
    "config": dict,
    "context": dict,
    "step": int,
    "recipe": dict,
}
_CARD: dict[str, Kind] = {"name": str, "data": list, "scores": list, "limits": list}
_VOCODER: dict[str, Kind] = {"name": str, "config": dict, "features": dict}
_AGAIN = "copy it again, or ask for it again"


class Header(NamedTuple):
    """All that a pack says of itself."""

    state: dict[str, Any]
    """As `checkpoints.read_state` returns it."""
    vocoder: dict[str, Any] | None
    """Name, config and features of the vocoder that it holds."""
    card: dict[str, Any]
    """Lines by their heading: name, data, scores, limits; see `vctool.tools.pack`."""
    digest: str
    """SHA-256 of the file, 64 hex digits."""


def is_pack(path: Path) -> bool:
    """Tell whether a path is that of a pack, by its ending; an experiment may have it too."""
    return path.suffix == SUFFIX and not path.is_dir()


def read_header(path: Path) -> Header:
    """Read what a pack says of itself; its tensors are not read.

    Raises:
        CheckpointError: it is missing, truncated, something else, or of a later layout.
    """
    try:
        return _parsed(path, *_head(path))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _head(path: Path) -> tuple[bytes, int]:
    """Return a file's header, and the length of what follows it [bytes].

    Raises:
        ValueError: it is no safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= LONGEST_HEADER:
            raise ValueError(f"is no pack, or damaged; vctool pack writes them: {_AGAIN}")
        text = file.read(length)
    if len(text) < length:
        raise ValueError(f"truncated: {size} bytes of more; {_AGAIN}")
    return text, size - 8 - length


def _parsed(path: Path, text: bytes, following: int) -> Header:
    """Check a header against what follows it.

    Raises:
        ValueError: it is no pack's, or the file is truncated.
    """
    try:
        tree = json.loads(text)
        told = check_fields(tree.pop("__metadata__"), dict.fromkeys(_TEXTS, str))
        ends = [int(one["data_offsets"][1]) for one in tree.values()]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, IndexError):
        raise ValueError(f"is no pack, or damaged; vctool pack writes them: {_AGAIN}") from None
    if told["format"] != str(FORMAT):
        raise ValueError(
            f"format {told['format']}, this version reads {FORMAT}; update vctool, or ask for a "
            "pack that this version wrote"
        )
    if (expected := max(ends, default=0)) != following:
        raise ValueError(f"truncated: {following} bytes of tensors of {expected}; {_AGAIN}")
    try:
        state = check_fields(json.loads(told["state"]), _STATE)
        card = check_fields(json.loads(told["card"]), _CARD)
        vocoder = json.loads(told["vocoder"])
        vocoder = None if vocoder is None else check_fields(vocoder, _VOCODER)
    except (ValueError, RecursionError, TypeError) as error:
        raise ValueError(f"is no pack of a model, or damaged ({error}); {_AGAIN}") from None
    if vocoder is not None:  # the vocoder of this pack is in this pack
        state["context"]["vocoder"] = str(path.absolute())
    state |= {"digests": {"pack": told["digest"]}, "files": {}, "train": {}}
    return Header(state, vocoder, card, told["digest"])


def read_tensors(path: Path, part: str = MODEL) -> "dict[str, Tensor]":
    """Read the tensors of one part, as they were stored, and check that the file is whole.

    Args:
        path: the pack.
        part: `MODEL` or `VOCODER`.

    Returns:
        Tensors by their names without the prefix.

    Raises:
        CheckpointError: as `read_header`; or damaged, or NaN or infinity in it.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    header = read_header(path)
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    if _digest(content, length, header.digest) != header.digest:
        raise CheckpointError(f"{path}: damaged, not what was written; {_AGAIN}")
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not readable ({error}); {_AGAIN}") from None
    found = {
        name.removeprefix(part): tensor for name, tensor in tensors.items() if name.startswith(part)
    }
    for name, tensor in found.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: holds NaN or infinity in {name}; ask for another pack")
    return found


def content(
    state: Mapping[str, Any],
    model: "Mapping[str, Tensor]",
    card: Mapping[str, Any],
    vocoder: Mapping[str, Any] | None = None,
    weights: "Mapping[str, Tensor] | None" = None,
) -> bytes:
    """Serialise a model to the bytes of a pack.

    Args:
        state: what a checkpoint says; only what converting needs is kept.
        model: its tensors by name, those that converting needs.
        card: what is told of it.
        vocoder: name, config and features of its vocoder; None where that has no weights.
        weights: the vocoder's tensors by name.
    """
    from safetensors.torch import save

    named = {MODEL + name: tensor for name, tensor in model.items()}
    named |= {VOCODER + name: tensor for name, tensor in (weights or {}).items()}
    kept = {name: state[name] for name in (*_STATE, "versions") if name in state}
    header = {
        "format": str(FORMAT),
        "state": json.dumps(kept, allow_nan=False),
        "vocoder": json.dumps(vocoder, allow_nan=False),
        "card": json.dumps(card, allow_nan=False),
        "digest": _ZEROS,
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}
    made: bytes = save(tensors, header)
    length = struct.unpack("<Q", made[:8])[0]
    digest = hashlib.sha256(made).hexdigest()
    head = made[: 8 + length].replace(_field(_ZEROS), _field(digest))
    assert len(head) == 8 + length and digest.encode() in head, "safetensors changed its header"
    return head + made[8 + length :]


def _field(digest: str) -> bytes:
    return f'"digest":"{digest}"'.encode()


def _digest(content: bytes, length: int, told: str) -> str:
    """Hash a file with zeros in place of the digest that it tells."""
    found = hashlib.sha256(content[: 8 + length].replace(_field(told), _field(_ZEROS)))
    found.update(memoryview(content)[8 + length :])
    return found.hexdigest()

"""Conversion of recordings with a trained model, for scripts and for `vctool convert`.

    from vctool.inference import Converter, convert_files

    converter = Converter("exp/mini")                    # or vctool.load("exp/mini")
    wave, rate = converter.convert(speech, speech_rate, accomp=backing)
    convert_files(["talks/"], to="sax.wav", out=Path("played"))

`Converter.reference` analyses a target's recordings once and returns a `Reference`, which `convert`
takes for any number of recordings. A `Request` holds the validated options of one conversion, a
`Condition` the conditioning passed to the family. Names are imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vctool.inference.converter import Converter
    from vctool.inference.double import Doubler, DoubleSettings
    from vctool.inference.double_output import double_files
    from vctool.inference.files import Summary, convert_files
    from vctool.inference.request import Request
    from vctool.models.base import Condition, Reference

__all__ = [
    "Condition",
    "Converter",
    "DoubleSettings",
    "Doubler",
    "Reference",
    "Request",
    "Summary",
    "convert_files",
    "double_files",
]

_HOMES = {
    "Condition": "vctool.models.base",
    "Converter": "vctool.inference.converter",
    "DoubleSettings": "vctool.inference.double",
    "Doubler": "vctool.inference.double",
    "Reference": "vctool.models.base",
    "Request": "vctool.inference.request",
    "Summary": "vctool.inference.files",
    "convert_files": "vctool.inference.files",
    "double_files": "vctool.inference.double_output",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)

"""An exported model that is running: ONNX Runtime in place of torch, and no torch needed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from vctool.errors import ExportError
from vctool.extras import require

MODEL, CARD = "model.onnx", "model.json"

FORMAT = "1"
"""Version of the metadata that this code reads; `export.onnx` writes it."""


class Facts(NamedTuple):
    """What a model says of itself."""

    rate: int
    granule: int
    latency: int
    """[samples]"""
    state: int
    """Number of values in its state, S."""
    controls: dict[str, int]
    """Sizes of the control inputs by name, in their order."""
    voices: dict[str, dict[str, np.ndarray]]
    """Values of the control inputs by voice and name, each (1, C) float32."""


def session(content: bytes, name: str, threads: int = 1) -> Any:
    """Load a model into ONNX Runtime.

    Args:
        content: of the file.
        name: of the file, for messages.
        threads: that one call may use.

    Raises:
        DataError: onnxruntime is not installed.
        ExportError: it is not a model, is damaged, or has an operation that the runtime lacks.
    """
    require("onnxruntime", "export", "exported models run on it")
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it would print is in the error
    refusals = (
        states.Fail,
        states.InvalidArgument,
        states.InvalidGraph,
        states.InvalidProtobuf,
        states.NotImplemented,
        states.RuntimeException,
    )
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except refusals as error:
        told = " ".join(str(error).split())[:160]
        raise ExportError(
            f"{name}: not a model that ONNX Runtime can run ({told}); export it again"
        ) from None


def facts(loaded: Any, name: str) -> Facts:
    """Read what a model says of itself, and compare it with its inputs and outputs.

    Raises:
        ExportError: vctool did not export it, or another version did.
    """
    told = loaded.get_modelmeta().custom_metadata_map
    if told.get("vctool") != FORMAT:
        known = "of another version" if "vctool" in told else "not exported by vctool"
        raise ExportError(f"{name}: {known}; vctool export EXP makes one")
    try:
        rate, granule, latency, state = (
            int(told[field]) for field in ("rate", "granule", "latency", "state")
        )
        lines = (line.rsplit(" ", 1) for line in told["controls"].splitlines())
        controls = {control: int(size) for control, size in lines}
        voices = {}
        for voice in told["voices"].splitlines():
            laid = [float.fromhex(value) for value in told[f"voice.{voice}"].split()]
            if len(laid) != sum(controls.values()):
                raise ValueError(voice)
            ends = np.cumsum(list(controls.values()))[:-1]
            split = np.split(np.array(laid, np.float32)[None], ends, axis=1)
            voices[voice] = dict(zip(controls, split, strict=False)) if controls else {}
        shapes = {one.name: one.shape for one in (*loaded.get_inputs(), *loaded.get_outputs())}
        expected = {"wave": 1, "state": state, "wave_out": 1, "state_out": state, **controls}
        wrong = [one for one, size in expected.items() if shapes[one][1] != size]
        if wrong or min(rate, granule, state) < 1 or latency < 0:
            raise ValueError(wrong)
    except (KeyError, ValueError) as error:
        raise ExportError(
            f"{name}: its metadata does not fit its graph ({error}); export it again"
        ) from None
    return Facts(rate, granule, latency, state, controls, voices)


class OnnxRun:
    """A stream that ONNX Runtime runs; see `export.stream.Run`.

    Args:
        loaded: the session, which several runs may share.
        known: what the model says of itself.
        controls: values of its control inputs, each (1, C).
    """

    def __init__(self, loaded: Any, known: Facts, controls: Mapping[str, np.ndarray]) -> None:
        self.rate, self.granule, self.latency = known.rate, known.granule, known.latency
        self._session = loaded
        self._feed = {name: np.asarray(controls[name], np.float32) for name in known.controls}
        self._state = np.zeros((1, known.state), np.float32)

    def step(self, wave: np.ndarray) -> np.ndarray:
        """Process the next (granule * k,) float32; as many come out."""
        feed = {**self._feed, "wave": wave.reshape(1, 1, -1), "state": self._state}
        made, self._state = self._session.run(("wave_out", "state_out"), feed)
        return np.asarray(made[0, 0])


class Exported:
    """An exported model.

    Args:
        content: of its file.
        name: of its file, for messages.
        threads: that one call may use.

    Raises:
        ExportError: it is damaged, or not vctool's.
        DataError: onnxruntime is not installed.
    """

    def __init__(self, content: bytes, name: str, threads: int = 1) -> None:
        self._session = session(content, name, threads)
        self.facts = facts(self._session, name)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read one from disk.

        Args:
            path: the folder of an export, or the `model.onnx` in it.

        Raises:
            ExportError: there is none, or it is damaged, changed, or not vctool's.
            DataError: onnxruntime is not installed.
        """
        file = path / MODEL if path.is_dir() else path
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ExportError(f"{file}: {error.strerror}; vctool export EXP makes one") from None
        _require_unchanged(file, content)
        return cls(content, str(file))

    def run(self, controls: Mapping[str, np.ndarray]) -> OnnxRun:
        """Begin a stream; any number of them share the model."""
        return OnnxRun(self._session, self.facts, controls)


def _require_unchanged(file: Path, content: bytes) -> None:
    """Compare a model with the card beside it, if there is one."""
    card = file.with_name(CARD)
    if not card.is_file():
        return
    try:
        wanted = json.loads(card.read_text("utf-8"))["sha256"]
    except (ValueError, KeyError, TypeError):
        raise ExportError(f"{card}: damaged; export the model again") from None
    if hashlib.sha256(content).hexdigest() != wanted:
        raise ExportError(
            f"{file}: not the file that {card} describes (its sha256 differs); export the model "
            "again"
        )

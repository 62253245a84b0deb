"""Export of a stream as one ONNX file that says itself what a host has to know.

The graph is traced, and not compiled by `torch.export`: that unrolls a recurrent layer to the
length that it is shown (`checks` refuses such graphs), and asks for more packages. A trace may
freeze lengths too where a network computes them in Python, so nothing is believed of a graph before
it has run at other lengths.

    inputs   wave (1, 1, samples), every control (1, C), state (1, S)
    outputs  wave_out (1, 1, samples), state_out (1, S); the first state is all zero
    metadata vctool, rate, granule, latency, state, controls (`name size`, a line each), voices (a
             name a line), voice.NAME (its control values in their order, hexadecimal floats)
"""

import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch

from vctool.errors import ExportError
from vctool.nn.streaming import Stream

FORMAT = "1"
"""Version of the names and the metadata."""

OPSET = 18

WAVE, STATE, WAVE_OUT, STATE_OUT = "wave", "state", "wave_out", "state_out"

TRACED_GRANULES = 2
"""Length of the chunk that a network is traced with."""

Voices = Mapping[str, Mapping[str, np.ndarray]]
"""Values of the control inputs by voice and name, each (1, C) float32."""


def graph(stream: Stream, voices: Voices | None = None) -> onnx.ModelProto:
    """Export a stream; nothing is checked yet (`checks.require`).

    Args:
        stream: the network, on the CPU.
        voices: values of its control inputs, by voice.

    Raises:
        ExportError: it has an operation that ONNX lacks, or a control of a taken name.
    """
    taken = {WAVE, STATE, WAVE_OUT, STATE_OUT} & stream.controls.keys()
    if taken:
        raise ExportError(f"a control input is called {taken.pop()}, which is another input's name")
    names = [WAVE, *stream.controls, STATE]
    wave = torch.zeros(1, 1, TRACED_GRANULES * stream.granule)
    buffer = io.BytesIO()
    arguments: Any = (wave, *stream.values(), stream.initial_state())
    try:
        # All warnings are of what the checks measure, or that the tracer will be given up.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                stream.eval(),
                arguments,
                buffer,  # type: ignore[arg-type]  # any file will do
                dynamo=False,
                opset_version=OPSET,
                input_names=names,
                output_names=[WAVE_OUT, STATE_OUT],
                dynamic_axes={WAVE: {2: "samples"}, WAVE_OUT: {2: "samples"}},
            )
    except torch.onnx.errors.OnnxExporterError as error:
        told = " ".join(str(error).split())[:200]
        raise ExportError(f"the network has an operation that ONNX lacks: {told}") from None
    model = onnx.load_from_string(buffer.getvalue())
    _fix_state_shape(model, stream.state_size)
    onnx.helper.set_model_props(model, _metadata(stream, voices or {}))
    return model


def _fix_state_shape(model: onnx.ModelProto, size: int) -> None:
    """Write (1, S) where the tracer could not tell the size of the next state."""
    for output in model.graph.output:
        if output.name == STATE_OUT:
            dims = output.type.tensor_type.shape.dim
            for dim, known in zip(dims, (1, size), strict=True):
                dim.Clear()
                dim.dim_value = known


def _metadata(stream: Stream, voices: Voices) -> dict[str, str]:
    controls = [f"{name} {value.shape[1]}" for name, value in stream.controls.items()]
    found = {
        "vctool": FORMAT,
        "rate": str(stream.rate),
        "granule": str(stream.granule),
        "latency": str(stream.latency),
        "state": str(stream.state_size),
        "controls": "\n".join(controls),
        "voices": "\n".join(voices),
    }
    for name, values in voices.items():
        laid = (float(value) for one in stream.controls for value in np.ravel(values[one]))
        found[f"voice.{name}"] = " ".join(map(float.hex, laid))
    return found

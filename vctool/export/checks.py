"""What may go wrong when a network is exported, each a check: an export passes all or is refused.

| trap | what happens |
|---|---|
| frozen length | a recurrent layer or a Python loop is unrolled to the length that was traced |
| buffers that change | the graph starts every chunk from what they were when it was traced |
| random operators | every run and every host sounds different |
| an invalid graph | an operation is written in a way that no runtime accepts |
| a second file | weights are left out of the graph, and lost when it is copied |
| NaN | one bad sample stays in the state, and silences or distorts all that follows |
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import torch

from vctool.errors import ExportError
from vctool.export import runtime
from vctool.export.onnx import TRACED_GRANULES
from vctool.nn.streaming import Stream

GRANULES = (1, 2, 3, 4, 5, 6, 7, 8, 32)
"""Lengths of chunks that are tried."""

TOLERANCE = 1e-5
"""Of the peak: how far ONNX Runtime may be from torch."""

RANDOM = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}


def require_pure(stream: Stream) -> None:
    """Refuse a network that changes when it runs.

    Raises:
        ExportError: a buffer or a parameter changes, or random numbers are drawn.
    """
    held = {name: value.clone() for name, value in stream.state_dict(keep_vars=False).items()}
    held |= {name: value.clone() for name, value in stream.named_buffers()}
    drawn = torch.random.get_rng_state()
    wave = torch.from_numpy(_noise(4 * stream.granule)).view(1, 1, -1)
    with torch.no_grad():
        stream(wave, *stream.values(), stream.initial_state())
    after = {**stream.state_dict(), **dict(stream.named_buffers())}
    for name, value in held.items():
        if not torch.equal(value, after[name]):
            raise ExportError(
                f"the network changes its own {name} as it runs, and an exported one cannot: what "
                "it remembers must be in the state"
            )
    if not torch.equal(drawn, torch.random.get_rng_state()):
        raise ExportError("the network draws random numbers: noise must be a hash of its place")


def require_graph(model: onnx.ModelProto) -> None:
    """Refuse a graph by what is in it.

    Raises:
        ExportError: it is invalid, random, or not in one file.
    """
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ExportError(f"{tensor.name}: lies in a second file; export it into the first")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph is invalid: {' '.join(str(error).split())[:200]}") from None
    for node in _nodes(model.graph):
        if node.op_type in RANDOM:
            raise ExportError(f"the graph draws random numbers ({node.op_type})")
        if node.domain not in ("", "ai.onnx"):
            raise ExportError(f"the graph has an operation of its own ({node.domain})")


def require_run(content: bytes, stream: Stream) -> None:
    """Refuse a graph that does not run as the network does.

    Raises:
        ExportError: at some length of a chunk, or after it, outputs or states differ; or a bad
            sample is still heard when the network has had clean ones.
    """
    loaded = runtime.session(content, "the graph")
    known = runtime.facts(loaded, "the graph")
    defaults = {name: value.numpy() for name, value in stream.controls.items()}
    values = stream.values()
    for count in GRANULES:
        run = runtime.OnnxRun(loaded, known, defaults)
        state = stream.initial_state()
        for turn in range(3):  # the second chunk shows whether the first was remembered
            wave = _noise(count * stream.granule, turn)
            with torch.no_grad():
                expected, state = stream(torch.from_numpy(wave).view(1, 1, -1), *values, state)
            made = _tried(run, wave, count)
            peak = max(float(expected.abs().max()), 1e-3)
            error = np.abs(made - expected[0, 0].numpy()).max(initial=0.0)
            if made.shape != wave.shape or not error <= TOLERANCE * peak:
                told = (
                    f"{error / peak:.1e} of the peak"
                    if made.shape == wave.shape
                    else f"{made.size} samples for {wave.size}"
                )
                raise ExportError(
                    f"the graph differs from the network at {count} granules, chunk {turn + 1}: "
                    f"{told}; traced at {TRACED_GRANULES}, it may have frozen a length, or "
                    "remember nothing"
                )
    _require_recovery(runtime.OnnxRun(loaded, known, defaults))


def _tried(run: runtime.OnnxRun, wave: np.ndarray, count: int) -> np.ndarray:
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    try:
        return run.step(wave)
    except (states.InvalidArgument, states.Fail, states.RuntimeException) as error:
        told = " ".join(str(error).split())[:120]
        raise ExportError(
            f"the graph does not run at {count} granules, only as it was traced at "
            f"{TRACED_GRANULES}: a length is frozen ({told})"
        ) from None


def _require_recovery(run: runtime.OnnxRun) -> None:
    """Give bad samples, then clean ones: nothing bad may come out, not even at once."""
    for bad in (np.nan, np.inf):
        wave = _noise(run.granule)
        wave[: max(run.granule // 2, 1)] = bad
        for chunk in (wave, *(_noise(run.granule, turn) for turn in range(8))):
            if not np.isfinite(run.step(chunk)).all():
                raise ExportError(f"one {bad} in poisons what comes out: clean it before the state")


def _noise(samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng([9, seed]).standard_normal(samples)).astype(np.float32)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Go through the nodes of a graph and of those within it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _tensors(model: onnx.ModelProto) -> Iterator[Any]:
    yield from model.graph.initializer
    for node in _nodes(model.graph):
        yield from (attribute.t for attribute in node.attribute if attribute.HasField("t"))


def require(model: onnx.ModelProto, stream: Stream) -> bytes:
    """Check a graph against its network, and return it as the content of one file.

    Raises:
        ExportError: it fails a check; see the module.
    """
    require_pure(stream)
    require_graph(model)
    content: bytes = model.SerializeToString()
    require_run(content, stream)
    return content

"""Every known trap of exporting is refused in one line, by the check that is there for it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from tests.export.networks import (
    GRANULE,
    Hidden,
    Inverse,
    Looped,
    Matrix,
    Mutating,
    Noisy,
    Smooth,
    Trusting,
)
from vctool.errors import ExportError
from vctool.export import checks
from vctool.export import onnx as exporting


@pytest.mark.parametrize("network", [Smooth, Matrix])
def test_a_sound_network_passes(network: type[Smooth]) -> None:
    stream = network()
    content = checks.require(exporting.graph(stream), stream)
    assert 1000 < len(content) < 100_000


def test_a_frozen_length_is_refused() -> None:
    stream = Looped()
    with pytest.raises(ExportError, match=r"at 1 granules.*froze|at 1 granules.*frozen"):
        checks.require(exporting.graph(stream), stream)


def test_a_length_frozen_inside_a_graph_that_runs_is_refused() -> None:
    """As the exporter by `torch.export` does silently: the first granules of any length."""
    stream = Smooth()
    model = exporting.graph(stream)

    class Shorter(Smooth):
        def step(self, wave, controls, memory, start):  # type: ignore[no-untyped-def]
            made, after = super().step(wave[..., : 2 * GRANULE], controls, memory, start)
            rest = wave[..., 2 * GRANULE :]
            return torch.cat([made, rest], dim=-1), after

    shorter = exporting.graph(Shorter())
    checks.require_run(model.SerializeToString(), stream)
    with pytest.raises(ExportError, match=r"at 3 granules, chunk 1: .* frozen a length"):
        checks.require_run(shorter.SerializeToString(), stream)


def test_a_buffer_that_changes_is_refused() -> None:
    stream = Mutating()
    with pytest.raises(ExportError, match="changes its own kept"):
        checks.require_pure(stream)


def test_a_graph_that_remembers_nothing_is_refused() -> None:
    stream = Hidden()
    checks.require_pure(stream)  # no list names what it changes
    model = exporting.graph(Hidden())
    with pytest.raises(ExportError, match=r"chunk 2: .*remember nothing"):
        checks.require_run(model.SerializeToString(), stream)


def test_random_numbers_are_refused() -> None:
    stream = Noisy()
    with pytest.raises(ExportError, match="draws random numbers: noise must be a hash"):
        checks.require_pure(stream)
    with pytest.raises(ExportError, match=r"draws random numbers \(RandomNormalLike\)"):
        checks.require_graph(exporting.graph(stream))


def test_the_inverse_transform_of_torch_is_refused_and_a_matrix_is_not() -> None:
    with pytest.raises(ExportError, match=r"operation that ONNX lacks: .*istft|complex") as told:
        exporting.graph(Inverse())
    assert "\n" not in str(told.value)
    wave = torch.randn(1, 1, 4 * GRANULE)
    stream = Matrix()
    made, _ = stream(wave, stream.initial_state())
    torch.testing.assert_close(made, wave, rtol=0, atol=1e-5)


def test_an_invalid_graph_is_refused() -> None:
    model = exporting.graph(Smooth())
    model.graph.node[3].input[0] = "nowhere"
    with pytest.raises(ExportError, match=r"the graph is invalid: .*nowhere"):
        checks.require_graph(model)


def test_weights_in_a_second_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    model = exporting.graph(Smooth())
    onnx.save_model(model, path, save_as_external_data=True, location="rest", size_threshold=0)
    assert (tmp_path / "rest").is_file()
    apart = onnx.load(path, load_external_data=False)
    with pytest.raises(ExportError, match="lies in a second file"):
        checks.require_graph(apart)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_network_that_a_bad_sample_poisons_is_refused(bad: float) -> None:
    stream = Trusting()
    model = exporting.graph(stream)
    with pytest.raises(ExportError, match="poisons what comes out"):
        checks.require_run(model.SerializeToString(), stream)
    stream = Smooth()
    wave = torch.full((1, 1, GRANULE), bad)
    made, state = stream(wave, stream.initial_state())
    assert torch.isfinite(made).all() and torch.isfinite(state).all()
